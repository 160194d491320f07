// What Flux makes of one object by the healthCheckExprs of a Kustomization, by Flux's own evaluator
// (github.com/fluxcd/pkg/runtime/cel): the Kustomization's file is the argument, the object is JSON
// on standard input, the answer one JSON line on standard output.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

type kustomization struct {
	Spec struct {
		HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
	} `json:"spec"`
}

type answer struct {
	Status string `json:"status"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var flux kustomization
	if err := yaml.Unmarshal(file, &flux); err != nil {
		return err
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(text); err != nil {
		return fmt.Errorf("no Kubernetes object on standard input: %w", err)
	}
	for _, check := range flux.Spec.HealthCheckExprs {
		if check.APIVersion != object.GetAPIVersion() || check.Kind != object.GetKind() {
			continue
		}
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return err
		}
		result, err := evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(answer{string(result.Status)})
	}
	return fmt.Errorf("no expression is for %s %s", object.GetAPIVersion(), object.GetKind())
}
