{{/* Labels of every object; call with (dict "root" $ "part" "operator"). */}}
{{- define "symfed.labels" -}}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: symfed
{{ include "symfed.selector" . }}
{{- end }}

{{/* What selects a part's pods: never changes, since selectors are immutable. */}}
{{- define "symfed.selector" -}}
app.kubernetes.io/name: symfed-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{/* A part's image; call with (dict "root" $ "image" .Values.images.operator). */}}
{{- define "symfed.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The parts' pods run as the images' user; the file system is read-only and /tmp a volume in memory. */}}
{{- define "symfed.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "symfed.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Where pods may run; call with .Values.operator, .gateway or .nats. */}}
{{- define "symfed.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "symfed.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The NATS addresses of the operator, and those that other clusters use. */}}
{{- define "symfed.natsInternal" -}}
{{- if .Values.nats.internalHosts -}}
{{ .Values.nats.internalHosts }}
{{- else if .Values.nats.enabled -}}
nats://symfed-nats.{{ .Release.Namespace }}.svc:4222
{{- end }}
{{- end }}

{{- define "symfed.natsAdvertised" -}}
{{ .Values.nats.advertisedHosts | default (include "symfed.natsInternal" .) }}
{{- end }}

{{/* All addresses that mean the operator's own NATS. */}}
{{- define "symfed.natsAll" -}}
{{- $inner := include "symfed.natsInternal" . -}}
{{- $outer := include "symfed.natsAdvertised" . -}}
{{ list $inner $outer | uniq | compact | join "," }}
{{- end }}

{{- define "symfed.externalUrl" -}}
{{ .Values.gateway.externalUrl | default (printf "http://symfed-gateway.%s.svc:8080" .Release.Namespace) }}
{{- end }}
