{{/* Names and labels. Everything here takes the root context. */}}

{{- define "trafficmetrics.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/*
47 characters at most, so that with "-cluster-reader" behind it a name still has no more than 63. A release may have dots in its name and
begin with a digit, a Service may not (RFC 1035).
*/}}
{{- define "trafficmetrics.fullname" -}}
{{- $name := include "trafficmetrics.name" . -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) | replace "." "-" -}}
{{- end -}}
{{- $full = $full | trunc 47 | trimSuffix "-" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $full) -}}
{{- $told := "it has to begin with a letter, and to end with a letter or a digit; set fullnameOverride" -}}
{{- fail (printf "%q is no name for a Service: %s" $full $told) -}}
{{- end -}}
{{- $full -}}
{{- end -}}

{{- define "trafficmetrics.selectorLabels" -}}
app.kubernetes.io/name: {{ include "trafficmetrics.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "trafficmetrics.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "trafficmetrics.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- $others := omit (.Values.commonLabels | default dict) "helm.sh/chart" "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{- with omit $others "app.kubernetes.io/version" "app.kubernetes.io/managed-by" }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* These labels and others, which count where both have one: (list ROOT OTHERS). */}}
{{- define "trafficmetrics.labelsAnd" -}}
{{- $labels := include "trafficmetrics.labels" (index . 0) | fromYaml -}}
{{- merge (deepCopy (index . 1 | default dict)) $labels | toYaml -}}
{{- end -}}

{{- define "trafficmetrics.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "trafficmetrics.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "trafficmetrics.subject" -}}
- kind: ServiceAccount
  name: {{ include "trafficmetrics.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "trafficmetrics.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The APIs that kube-apiserver is told of, as a list in YAML: the server's own, and those of autoscalers if they are configured. */}}
{{- define "trafficmetrics.apis" -}}
- {group: metrics.smi-spec.io, version: v1alpha1}
{{- $surfaces := .Values.config.surfaces | default dict }}
{{- if $surfaces.customMetrics }}
- {group: custom.metrics.k8s.io, version: v1beta2}
- {group: custom.metrics.k8s.io, version: v1beta1}
{{- end }}
{{- if $surfaces.externalMetrics }}
- {group: external.metrics.k8s.io, version: v1beta1}
{{- end }}
{{- end -}}
