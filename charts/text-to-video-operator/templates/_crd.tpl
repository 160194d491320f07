{{- /* Who has a CRD [root, CRD] in the cluster, if that is somebody else: it is left to them, as Helm
       would refuse it. Fails where it is an older one. See docs/design/whose-crd.md. */ -}}
{{- define "t2v.crdOfAnother" -}}
{{- $root := index . 0 -}}
{{- $crd := index . 1 -}}
{{- $there := lookup $crd.apiVersion $crd.kind "" $crd.metadata.name -}}
{{- if and $there (not $root.Values.crds.takeOver) -}}
{{- $annotations := $there.metadata.annotations | default dict -}}
{{- $release := get $annotations "meta.helm.sh/release-name" -}}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" -}}
{{- if not (and (eq $release $root.Release.Name) (eq $namespace $root.Release.Namespace)) -}}
{{- $owner := ternary (printf "the release %s in the namespace %s" $release $namespace) "no release of Helm" (ne $release "") -}}
{{- $isSame := eq (get $annotations "textto.video/digest") (get $crd.metadata.annotations "textto.video/digest") -}}
{{- $version := get ($there.metadata.labels | default dict) "app.kubernetes.io/version" | default "0" -}}
{{- if not (or $isSame ((semver $root.Chart.AppVersion).LessThan (semver $version))) -}}
{{- fail (include "t2v.olderCrd" (list $root $crd.metadata.name $owner)) -}}
{{- end -}}
{{ $owner }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What to do about an older CRD: [root, its name, who has it]. */ -}}
{{- define "t2v.olderCrd" -}}
{{- $root := index . 0 -}}
{{- $names := list -}}
{{- range $path, $_ := $root.Files.Glob "files/crds/*.yaml" -}}
{{- $names = append $names (base $path | trimSuffix ".yaml") -}}
{{- end -}}
{{- $crds := join " " $names -}}
the CRD {{ index . 1 }} in the cluster is not this chart's, and belongs to {{ index . 2 }}. If that still has it, upgrade it first. Otherwise give the CRDs to this release, and try again:
  kubectl label crd {{ $crds }} --overwrite app.kubernetes.io/managed-by=Helm
  kubectl annotate crd {{ $crds }} --overwrite meta.helm.sh/release-name={{ $root.Release.Name }} meta.helm.sh/release-namespace={{ $root.Release.Namespace }}
{{- end -}}
