{{- define "t2v.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "t2v.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "t2v.name" .) -}}
{{- end -}}

{{- define "t2v.labels" -}}
{{ include "t2v.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "t2v.selector" -}}
app.kubernetes.io/name: text-to-video-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "t2v.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* What the operator may do in the namespaces that it watches. */ -}}
{{- define "t2v.rules" -}}
- apiGroups: [textto.video]
  resources: [texttovideojobs]
  verbs: [get, list, watch]
- apiGroups: [textto.video]
  resources: [texttovideojobs/status]
  verbs: [patch]
- apiGroups: [textto.video]
  resources: [texttovideojobs/finalizers] # to own Jobs where owner references are checked
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods/log] # the runner's progress
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
{{- end -}}
