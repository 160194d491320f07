module text.video/tests/argo

go 1.26.0

// Its manifests alone are read; nothing of it is built.
require github.com/argoproj/argo-cd/v3 v3.5.7
