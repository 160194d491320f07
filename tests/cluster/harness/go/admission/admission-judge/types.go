package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// described are the kinds that the files of an OpenAPI description (version 3) know.
type described map[string]*spec.Schema

const schemas = "#/components/schemas/"

// checkTypes returns what the API server would warn of in the policies' status: fields that the
// objects do not have, and values of types that do not go together.
func checkTypes(policies []compiled, paths []string) ([]string, error) {
	known := described{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var file struct {
			Components struct{ Schemas described }
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for name, each := range file.Components.Schemas {
			known[schemas+name] = each
		}
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}, meta.RESTScopeNamespace)
	mapper.Add(schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, meta.RESTScopeNamespace)
	checker := validating.TypeChecker{SchemaResolver: known, RestMapper: mapper}
	warnings := []string{}
	for _, each := range policies {
		for _, warning := range checker.Check(each.policy) {
			warnings = append(warnings, each.policy.Name+": "+warning.FieldRef+": "+warning.Warning)
		}
	}
	return warnings, nil
}

// ResolveSchema returns the schema of the kind, with all that it refers to.
func (known described) ResolveSchema(kind schema.GroupVersionKind) (*spec.Schema, error) {
	group := kind.Group
	if group == "" {
		group = "core"
	}
	end := strings.Join([]string{"", group, kind.Version, kind.Kind}, ".")
	for reference := range known {
		if strings.HasSuffix(reference, end) {
			return resolver.PopulateRefs(known.find, reference)
		}
	}
	return nil, fmt.Errorf("%v: %w", kind, resolver.ErrSchemaNotFound)
}

func (known described) find(reference string) (*spec.Schema, bool) {
	found, ok := known[reference]
	return found, ok
}
