{{- define "t2v.name" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- /* Of this installation alone, in the whole cluster; a namespace has no dot. What follows it
       in a name begins with a colon, which is in neither. */ -}}
{{- define "t2v.clusterName" -}}
{{- printf "%s.%s" (include "t2v.name" .) .Release.Namespace -}}
{{- end -}}

{{- define "t2v.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "t2v.name" .) -}}
{{- end -}}

{{- define "t2v.labels" -}}
{{ include "t2v.selector" . }}
{{ include "t2v.moreLabels" . }}
{{- end -}}

{{- define "t2v.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Labels that say more and select nothing: they may change while pods run. */ -}}
{{- define "t2v.moreLabels" -}}
{{- if not (hasKey .Values "commonLabels") -}}
{{- fail "these are an earlier chart's values alone: upgrade with --reset-then-reuse-values, not with --reuse-values" -}}
{{- end -}}
{{- $own := dict
      "app.kubernetes.io/version" .Chart.AppVersion
      "app.kubernetes.io/managed-by" .Release.Service
      "app.kubernetes.io/part-of" .Chart.Name
      "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- mergeOverwrite (deepCopy .Values.commonLabels) $own | toYaml -}}
{{- end -}}

{{- /* A pod's labels: [the part's labels, its values]. */ -}}
{{- define "t2v.podLabels" -}}
{{- mergeOverwrite (index . 0 | fromYaml) (deepCopy (index . 1).podLabels) | toYaml -}}
{{- end -}}

{{- /* Where a pod may run, and before whom: [the part's values, its selector]. */ -}}
{{- define "t2v.placement" -}}
{{- $part := index . 0 -}}
{{- $selector := dict "labelSelector" (dict "matchLabels" (index . 1 | fromYaml)) -}}
{{- $pod := dict -}}
{{- range $field := list "priorityClassName" "nodeSelector" "tolerations" "affinity" -}}
{{- with get $part $field }}{{ $_ := set $pod $field . }}{{ end -}}
{{- end -}}
{{- $spread := list -}}
{{- range $part.topologySpreadConstraints -}}
{{- $spread = append $spread (ternary . (merge (deepCopy .) $selector) (hasKey . "labelSelector")) -}}
{{- end -}}
{{- with $spread }}{{ $_ := set $pod "topologySpreadConstraints" . }}{{ end -}}
{{- with $pod }}{{ toYaml . }}{{ end -}}
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
{{- if and .Values.config.storage.claimName (ne .Values.config.storage.kind "volume") -}}
{{- fail "config.storage.claimName is set: say config.storage.kind=volume as well, or remove claimName and url" -}}
{{- end -}}
{{- if .Values.config.storage.service -}}
{{- fail "config.storage.service is for installations without this chart: set store.service.type" -}}
{{- end -}}
{{- if and (ne .Values.store.service.type "ClusterIP") (not (include "t2v.embedded" .)) -}}
{{- fail (printf "store.service.type is %s, and there is no store: config.storage.kind is %s" .Values.store.service.type .Values.config.storage.kind) -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not (include "t2v.usesKeys" .)) -}}
{{- fail "gateway.enabled is true: its clients show API keys, so set config.apiKeys.enabled as well" -}}
{{- end -}}
{{- if not .Values.rbac.clusterRoles -}}
{{- include "t2v.checkWithoutClusterRoles" . -}}
{{- end -}}
{{- $name := include "t2v.name" . -}}
{{- $defaults := dict "leaderElection" (dict "name" $name) -}}
{{- $_ := set $defaults "reportServer" (dict
      "url" (printf "https://%s-report.%s.svc" $name .Release.Namespace)
      "secret" (printf "%s-report" $name)
      "audience" (include "t2v.clusterName" .)) -}}
{{- if not .Values.rbac.clusterRoles -}}
{{- $_ := set $defaults "videoModels" false -}}
{{- $_ := set $defaults.reportServer "tokenReview" false -}}
{{- end -}}
{{- $_ := set $defaults "gatewaySecret" (printf "%s-gateway" $name) -}}
{{- $_ := set $defaults "webhooks" (dict "secret" (printf "%s-webhooks" $name)) -}}
{{- if include "t2v.embedded" . -}}
{{- $_ := set $defaults "storage" (dict
      "url" (include "t2v.publicUrl" .)
      "internalUrl" (printf "http://%s.%s.svc:%v" (include "t2v.storeName" .) .Release.Namespace .Values.store.service.port)
      "keysSecret" (printf "%s-store" $name)) -}}
{{- if not (or (eq .Values.store.service.type "ClusterIP") .Values.ingress.enabled .Values.httpRoute.enabled .Values.config.storage.url) -}}
{{- $_ := set $defaults.storage "service" (include "t2v.storeName" .) -}}
{{- end -}}
{{- end -}}
{{- mergeOverwrite $defaults (deepCopy .Values.config) | toYaml -}}
{{- end -}}

{{- define "t2v.embedded" -}}
{{- if eq .Values.config.storage.kind "embedded" }}true{{ end -}}
{{- end -}}

{{- /* How browsers reach the embedded store, where nobody says otherwise. */ -}}
{{- define "t2v.publicUrl" -}}
{{- if .Values.ingress.enabled -}}
{{ ternary "https" "http" (not (empty .Values.ingress.tlsSecret)) }}://{{ .Values.ingress.host }}
{{- else if .Values.httpRoute.enabled -}}
{{ .Values.httpRoute.scheme }}://{{ .Values.httpRoute.hostname }}
{{- else -}}
http://localhost:8080
{{- end -}}
{{- end -}}

{{- /* Of the StatefulSet: Kubernetes puts a hash behind it, in a label. */ -}}
{{- define "t2v.storeName" -}}
{{- printf "%s-store" (include "t2v.name" . | trunc 46 | trimSuffix "-") -}}
{{- end -}}

{{- define "t2v.storeSelector" -}}
app.kubernetes.io/name: {{ with .Values.nameOverride }}{{ . }}-store{{ else }}text-to-video-store{{ end }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "t2v.storeLabels" -}}
{{ include "t2v.storeSelector" . }}
{{ include "t2v.moreLabels" . }}
{{- end -}}

{{- define "t2v.leaseNamespace" -}}
{{- (.Values.config.leaderElection | default dict).namespace | default .Release.Namespace -}}
{{- end -}}

{{- define "t2v.usesKueue" -}}
{{- if (.Values.config.kueue | default dict).enabled }}true{{ end -}}
{{- end -}}

{{- define "t2v.usesKeys" -}}
{{- if (.Values.config.apiKeys | default dict).enabled }}true{{ end -}}
{{- end -}}

{{- /* Where keys are: their Secrets are listed there, with all others. */ -}}
{{- define "t2v.keysNamespace" -}}
{{- (.Values.config.apiKeys | default dict).namespace | default .Release.Namespace -}}
{{- end -}}

{{- /* What there is no right to without ClusterRoles: docs/design/without-cluster-roles.md. */ -}}
{{- define "t2v.checkWithoutClusterRoles" -}}
{{- $without := "rbac.clusterRoles is false" -}}
{{- if not .Values.config.namespaces -}}
{{- fail (printf "%s: name the namespaces to be watched in config.namespaces" $without) -}}
{{- end -}}
{{- if .Values.config.videoModels -}}
{{- fail (printf "%s: VideoModels are in no namespace, so remove config.videoModels; config.models are there" $without) -}}
{{- end -}}
{{- if ne ((.Values.config.modelCache | default dict).kind | default "none") "none" -}}
{{- fail (printf "%s: a model cache is filled with VideoModels, which are in no namespace; remove config.modelCache" $without) -}}
{{- end -}}
{{- if (.Values.config.reportServer | default dict).tokenReview -}}
{{- fail (printf "%s: TokenReviews are in no namespace; remove config.reportServer.tokenReview" $without) -}}
{{- end -}}
{{- if and (eq .Values.store.service.type "NodePort") (not (or .Values.config.storage.url .Values.ingress.enabled .Values.httpRoute.enabled)) -}}
{{- fail (printf "%s: the nodes' addresses cannot be read, so say in config.storage.url what links to the store begin with" $without) -}}
{{- end -}}
{{- if .Values.gateway.mayChangeModels -}}
{{- fail (printf "%s: VideoModels are in no namespace; remove gateway.mayChangeModels" $without) -}}
{{- end -}}
{{- end -}}

{{- define "t2v.usesModels" -}}
{{- if and .Values.rbac.clusterRoles (ne (toString .Values.config.videoModels) "false") }}true{{ end -}}
{{- end -}}

{{- /* Policies are in no namespace, and Kubernetes has them from 1.30 on. */ -}}
{{- define "t2v.hasAdmissionPolicy" -}}
{{- if and .Values.admissionPolicy.enabled .Values.rbac.clusterRoles (semverCompare ">=1.30-0" .Capabilities.KubeVersion.Version) }}true{{ end -}}
{{- end -}}

{{- /* What the operator may do in the namespaces that it watches. */ -}}
{{- define "t2v.rules" -}}
- apiGroups: [textto.video]
  resources: [texttovideojobs]
  # patch: the record of an ended request, an annotation; delete: outputTtlSeconds
  verbs: [get, list, watch, patch, delete]
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
  verbs: [get, list, watch, delete] # delete: a pod whose node is lost
- apiGroups: [""]
  resources: [pods/status] # the same: it must have failed before it is replaced
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
{{- if include "t2v.usesKeys" . }}
- apiGroups: [""]
  resources: [secrets] # those that keySecretRef names: no rule can tell them from others
  verbs: [get]
{{- end }}
{{- if include "t2v.usesKueue" . }}
- apiGroups: [kueue.x-k8s.io]
  resources: [workloads] # patch: spec.active holds a video and lets it go on
  verbs: [list, watch, patch]
{{- end }}
{{- end -}}


{{- define "t2v.gatewayName" -}}
{{- printf "%s-gateway" (include "t2v.name" . | trunc 46 | trimSuffix "-") -}}
{{- end -}}

{{- define "t2v.gatewaySelector" -}}
app.kubernetes.io/name: {{ with .Values.nameOverride }}{{ . }}-gateway{{ else }}text-to-video-gateway{{ end }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "t2v.gatewayLabels" -}}
{{ include "t2v.gatewaySelector" . }}
{{ include "t2v.moreLabels" . }}
{{- end -}}

{{- define "t2v.gatewayServiceAccount" -}}
{{- .Values.gateway.serviceAccount.name | default (include "t2v.gatewayName" .) -}}
{{- end -}}

{{- /* The gateway's settings: what its clients reach it by is known from its ways in. */ -}}
{{- define "t2v.gatewayConfig" -}}
{{- $defaults := dict -}}
{{- if .Values.gateway.ingress.enabled -}}
{{- $_ := set $defaults "publicUrl" (printf "%s://%s" (ternary "https" "http" (not (empty .Values.gateway.ingress.tlsSecret))) .Values.gateway.ingress.host) -}}
{{- else if .Values.gateway.httpRoute.enabled -}}
{{- $_ := set $defaults "publicUrl" (printf "%s://%s" .Values.gateway.httpRoute.scheme .Values.gateway.httpRoute.hostname) -}}
{{- end -}}
{{- mergeOverwrite $defaults (deepCopy .Values.gateway.config) | toYaml -}}
{{- end -}}
