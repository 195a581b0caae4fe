{{/* Names are fixed: a cluster has one operator, and its cluster-wide objects have one name. */}}
{{- define "millrace.labels" -}}
app.kubernetes.io/name: millrace
{{- end }}

{{- define "millrace.selector" -}}
app.kubernetes.io/name: millrace
app.kubernetes.io/component: operator
{{- end }}

{{- define "millrace.certSecret" -}}
{{- if eq .Values.webhook.certs "Provided" -}}
{{ required "webhook.secretName is needed with webhook.certs: Provided" .Values.webhook.secretName }}
{{- else -}}
{{ default "millrace-webhook-tls" .Values.webhook.secretName }}
{{- end -}}
{{- end }}
