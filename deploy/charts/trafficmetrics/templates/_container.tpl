{{/* What the server's container and the one of "helm test" have in common. Everything here takes the root context. */}}

{{/* Keys of the configuration that the chart passes as flags, each with the value of the chart that says what it is. */}}
{{- define "trafficmetrics.passed" -}}
securePort: server.port
shutdownDelayDuration: server.shutdownDelay
tlsCertFile: certificate
tlsPrivateKeyFile: certificate
certSecret: certificate
serviceName: fullnameOverride
serviceNamespace: the namespace of the release
{{- end -}}

{{/*
Refuses what is set in the wrong place, and what no pod would become ready with: the addresses that kubelet, kube-apiserver and the server
itself have to have of each other.
*/}}
{{- define "trafficmetrics.refuse" -}}
{{- $served := .Values.config.server | default dict -}}
{{- $flags := dict "--config" "config" "--v" "server.verbosity" -}}
{{- range $key, $value := include "trafficmetrics.passed" . | fromYaml -}}
{{- if hasKey $served $key -}}
{{- fail (printf "config.server.%s: the chart passes this as a flag, which would beat it; set %s" $key $value) -}}
{{- end -}}
{{- $_ := set $flags (printf "--%s" (kebabcase $key)) $value -}}
{{- end -}}
{{- $listening := list (list "config.server.bindAddress" ($served.bindAddress | default "" | toString)) -}}
{{- $standalone := list (list "config.kubernetes.enabled" ((.Values.config.kubernetes | default dict).enabled | toString)) -}}
{{- range .Values.server.extraArgs -}}
{{- $flag := splitn "=" 2 . -}}
{{- with get $flags $flag._0 -}}
{{- fail (printf "server.extraArgs: the chart passes %s itself; set %s" $flag._0 .) -}}
{{- end -}}
{{- $told := list (printf "server.extraArgs: %s" $flag._0) ($flag._1 | default "") -}}
{{- if eq $flag._0 "--bind-address" }}{{ $listening = append $listening $told }}{{ end -}}
{{- if eq $flag._0 "--kubernetes-enabled" }}{{ $standalone = append $standalone $told }}{{ end -}}
{{- end -}}
{{- range $listening -}}
{{- if regexMatch `^\[?(127\.|::1\b|::ffff:127\.|localhost$)` (last .) -}}
{{- fail (printf "%s: nobody but the pod itself reaches %s, so it would never be ready; leave it out" (first .) (last .)) -}}
{{- end -}}
{{- end -}}
{{- range $standalone -}}
{{- if eq (last .) "false" -}}
{{- fail (printf "%s: without a cluster nobody can be authenticated, and the server does not start; leave it out" (first .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "trafficmetrics.flags" -}}
- --config=/etc/trafficmetrics/config.yaml
- --secure-port={{ .Values.server.port }}
- --service-name={{ include "trafficmetrics.fullname" . }}
- --service-namespace={{ .Release.Namespace }}
{{- if eq .Values.certificate.mode "server" }}
- --cert-secret={{ include "trafficmetrics.certificateSecret" . }}
{{- else }}
- --tls-cert-file=/etc/trafficmetrics-serving/tls.crt
- --tls-private-key-file=/etc/trafficmetrics-serving/tls.key
{{- end }}
{{- with .Values.server.verbosity }}
- --v={{ . }}
{{- end }}
{{- with .Values.server.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trafficmetrics.surroundings" -}}
image: {{ include "trafficmetrics.image" . }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .Values.extraEnv }}
env:
{{ toYaml . }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
{{ toYaml . }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
- name: config
  mountPath: /etc/trafficmetrics
  readOnly: true
{{- if ne .Values.certificate.mode "server" }}
- name: serving
  mountPath: /etc/trafficmetrics-serving
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "trafficmetrics.volumes" -}}
- name: config
  configMap:
    name: {{ include "trafficmetrics.fullname" . }}
{{- if ne .Values.certificate.mode "server" }}
- name: serving
  secret:
    secretName: {{ include "trafficmetrics.certificateSecret" . }}
    # Not the key of the authority, which may be there, too.
    items:
    - key: tls.crt
      path: tls.crt
    - key: tls.key
      path: tls.key
{{- end }}
- name: tmp
  emptyDir: {}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
