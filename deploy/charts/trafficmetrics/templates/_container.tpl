{{/* What the server's container and the one of "helm test" have in common. Everything here takes the root context. */}}

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
