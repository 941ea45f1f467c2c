{{/* Where the serving certificate is, and in mode "helm" what it is. Everything here takes the root context. */}}

{{- define "trafficmetrics.certificateSecret" -}}
{{- $ends := dict "server" "issued" "helm" "helm-issued" "cert-manager" "serving" "secret" "serving" -}}
{{- with .Values.certificate -}}
{{- default (printf "%s-%s" (include "trafficmetrics.fullname" $) (get $ends .mode)) .secretName -}}
{{- end -}}
{{- end -}}

{{/* kube-apiserver asks for the third, whatever address it dials. */}}
{{- define "trafficmetrics.dnsNames" -}}
{{- $service := include "trafficmetrics.fullname" . }}
- {{ $service }}
- {{ $service }}.{{ .Release.Namespace }}
- {{ $service }}.{{ .Release.Namespace }}.svc
- {{ $service }}.{{ .Release.Namespace }}.svc.{{ .Values.certificate.clusterDomain }}
{{- end -}}

{{/* A common name has 64 bytes at most, and cert-manager refuses more. Nobody verifies by it: all names are among the others. */}}
{{- define "trafficmetrics.commonName" -}}
{{- $asked := index (include "trafficmetrics.dnsNames" . | fromYamlArray) 2 -}}
{{- gt (len $asked) 64 | ternary (include "trafficmetrics.fullname" .) $asked -}}
{{- end -}}

{{/* How many seconds a duration has, the argument: as cert-manager writes it, 2160h. */}}
{{- define "trafficmetrics.seconds" -}}
{{- $start := toDate "2006" "2000" -}}
{{- sub ($start | dateModify . | unixEpoch) (unixEpoch $start) -}}
{{- end -}}

{{/*
Those certificates of a bundle, the argument, that go on being trusted beside a new authority of the chart: all that are valid, but of the
chart's own the latest alone, or else each new one would leave another, and a leaked key would be good to its end. What others have put
there may be what pods still show, wherever in the bundle it is: cert-manager adds to its end. Of more than eight, those that end last.
DER has a certificate's end right behind its beginning, as UTCTime (13 characters) or GeneralizedTime (15), RFC 5280 4.1.2.5.
*/}}
{{- define "trafficmetrics.stillTrusted" -}}
{{- $now := now | unixEpoch | int64 -}}
{{- $own := dict -}}
{{- $others := dict -}}
{{- range $place, $pem := regexFindAll "-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----" . -1 | uniq -}}
{{- $der := regexReplaceAll "-----[A-Z ]+-----" $pem "" | b64dec -}}
{{- $times := regexFind `[0-9]{12,14}Z[\x17\x18][\x0d\x0f][0-9]{12,14}Z` $der -}}
{{- $end := regexFind "[0-9]{12,14}Z$" $times -}}
{{- $end = toDate (ternary "060102150405Z" "20060102150405Z" (eq (len $end) 13)) $end | unixEpoch | int64 -}}
{{- $made := regexFind "-serving-authority-[0-9]{10}" $der -}}
{{- if gt $end $now -}}
{{- /* Of two that were made in the same second, the chart has put the later one first. */ -}}
{{- $order := $made | default (printf "%012d" $end) -}}
{{- $_ := set (ternary $own $others (ne $made "")) (printf "%s %012d" $order (sub 999999 $place)) $pem -}}
{{- end -}}
{{- end -}}
{{- $kept := list -}}
{{- with keys $own | sortAlpha | last }}{{ $kept = append $kept (get $own .) }}{{ end -}}
{{- range $number, $key := keys $others | sortAlpha | reverse -}}
{{- if lt $number 8 }}{{ $kept = append $kept (get $others $key) }}{{ end -}}
{{- end -}}
{{- range $kept }}{{ printf "%s\n" . }}{{ end -}}
{{- end -}}

{{/* caBundle of the APIServices in base64, empty where somebody else fills it in. */}}
{{- define "trafficmetrics.caBundle" -}}
{{- with .Values.certificate -}}
{{- if eq .mode "helm" -}}
{{- include "trafficmetrics.issue" $ -}}
{{- $.issued.trusted | b64enc -}}
{{- else if eq .mode "secret" -}}
{{- .caBundle | b64enc -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Mode "helm": puts the authority, the certificate and their ends into $.issued, once for a rendering, since the Secret and every APIService
have to agree. What the Secret in the cluster has is kept while it lasts. A new authority stands before those that were trusted until now,
whoever made them: pods show the old certificate until the new Secret, or a new pod, has come.
*/}}
{{- define "trafficmetrics.issue" -}}
{{- if not (hasKey . "issued") -}}
{{- $wanted := .Values.certificate.helm -}}
{{- if ge (int $wanted.renewDays) (int $wanted.days) -}}
{{- fail "certificate.helm.renewDays must be less than certificate.helm.days: every upgrade would make a new certificate" -}}
{{- end -}}
{{- if ge (int $wanted.days) (int $wanted.authorityDays) -}}
{{- fail "certificate.helm.days must be less than certificate.helm.authorityDays: every upgrade would make a new authority" -}}
{{- end -}}
{{- $now := now | unixEpoch | int64 -}}
{{- $form := "2006-01-02T15:04:05Z07:00" -}}
{{- $names := include "trafficmetrics.dnsNames" . | fromYamlArray -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (include "trafficmetrics.certificateSecret" .) | default dict -}}
{{- $data := $secret.data | default dict -}}
{{- $notes := ($secret.metadata | default dict).annotations | default dict -}}
{{/* A date that is missing or no date is one of long ago. */}}
{{- $authorityEnds := get $notes "metrics.smi-spec.io/authority-ends" | toDate $form | unixEpoch | int64 -}}
{{- $certificateEnds := get $notes "metrics.smi-spec.io/certificate-ends" | toDate $form | unixEpoch | int64 -}}

{{- $authority := dict -}}
{{- $trusted := "" -}}
{{- $keepsAuthority := and (hasKey $data "ca.crt") (hasKey $data "ca.key") -}}
{{- $keepsAuthority = and $keepsAuthority (eq (get $notes "metrics.smi-spec.io/generation") $wanted.generation) -}}
{{- $keepsAuthority = and $keepsAuthority (gt $authorityEnds (add $now (mul 86400 $wanted.days))) -}}
{{- if $keepsAuthority -}}
{{- $authority = buildCustomCert (get $data "ca.crt") (get $data "ca.key") -}}
{{- $trusted = $authority.Cert -}}
{{- else -}}
{{- $authorityEnds = add $now (mul 86400 $wanted.authorityDays) -}}
{{- $name := printf "%s-serving-authority-%d" (include "trafficmetrics.fullname" . | trunc 35) $now -}}
{{- $authority = genCAWithKey $name (int $wanted.authorityDays) (genPrivateKey "ecdsa") -}}
{{- $registered := lookup "apiregistration.k8s.io/v1" "APIService" "" "v1alpha1.metrics.smi-spec.io" | default dict -}}
{{- $before := dig "spec" "caBundle" (get $data "ca.crt") $registered | b64dec -}}
{{- $trusted = printf "%s%s" $authority.Cert (include "trafficmetrics.stillTrusted" $before) -}}
{{- end -}}

{{- $certificate := dict -}}
{{- $keepsCertificate := and $keepsAuthority (hasKey $data "tls.crt") (hasKey $data "tls.key") -}}
{{- $keepsCertificate = and $keepsCertificate (eq (get $notes "metrics.smi-spec.io/certificate-names") (join "," $names)) -}}
{{- $keepsCertificate = and $keepsCertificate (gt $certificateEnds (add $now (mul 86400 $wanted.renewDays))) -}}
{{- if $keepsCertificate -}}
{{- $certificate = buildCustomCert (get $data "tls.crt") (get $data "tls.key") -}}
{{- else -}}
{{- $certificateEnds = add $now (mul 86400 $wanted.days) -}}
{{- $common := include "trafficmetrics.commonName" . -}}
{{- $certificate = genSignedCertWithKey $common nil $names (int $wanted.days) $authority (genPrivateKey "ecdsa") -}}
{{- end -}}

{{- $issued := dict "trusted" $trusted "authorityKey" $authority.Key "certificate" $certificate.Cert "key" $certificate.Key -}}
{{- $_ := set $issued "names" (join "," $names) -}}
{{- $_ := set $issued "authorityEnds" (dateInZone $form $authorityEnds "UTC") -}}
{{- $_ := set $issued "certificateEnds" (dateInZone $form $certificateEnds "UTC") -}}
{{- $_ := set . "issued" $issued -}}
{{- end -}}
{{- end -}}
