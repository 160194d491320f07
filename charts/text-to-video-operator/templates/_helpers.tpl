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

{{- /* The operator's configuration file: releases that share a namespace have a lease each. */ -}}
{{- define "t2v.config" -}}
{{- $election := dict "leaderElection" (dict "name" (include "t2v.name" .)) -}}
{{- mergeOverwrite $election (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{- define "t2v.leaseNamespace" -}}
{{- (.Values.config.leaderElection | default dict).namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "t2v.usesKueue" -}}
{{- if (.Values.config.kueue | default dict).enabled }}true{{ end -}}
{{- end -}}

{{- /* What the operator may do in the namespaces that it watches. */ -}}
{{- define "t2v.rules" -}}
- apiGroups: [textto.video]
  resources: [texttovideojobs]
  verbs: [get, list, watch, patch] # patch: the record of an ended request, an annotation
- apiGroups: [textto.video]
  resources: [texttovideojobs/status]
  verbs: [update]
- apiGroups: [textto.video]
  resources: [texttovideojobs/finalizers] # to own Jobs where owner references are checked
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete] # delete: a pod whose node is lost
- apiGroups: [""]
  resources: [pods/status] # the same: it must have failed before it is replaced
  verbs: [patch]
- apiGroups: [""]
  resources: [pods/log] # the runner's progress
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
{{- if include "t2v.usesKueue" . }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads] # patch: spec.active holds a video and lets it go on
  verbs: [list, watch, patch]
{{- end }}
{{- end -}}
