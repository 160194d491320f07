// What the API server's ValidatingAdmissionPolicies make of requests, by the API server's own code
// (k8s.io/apiserver/pkg/admission/plugin/policy/validating), without an API server.
//
// The argument is a file with the policies and their bindings, as the chart renders them; on
// standard input stands a JSON list of requests, on standard output one of what each of them was
// answered: the messages of those that refused it. Expressions may use what Kubernetes 1.30 knows,
// where the policies begin.
//
// With files of Kubernetes' OpenAPI description as further arguments it answers with a list of what
// the API server would warn of instead, since it knows the types of objects from them.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	apiservercel "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/kubernetes/scheme"
	sigsyaml "sigs.k8s.io/yaml"
)

type request struct {
	User        string          `json:"user"`
	Operation   string          `json:"operation"`
	Group       string          `json:"group"`
	Version     string          `json:"version"`
	Resource    string          `json:"resource"`
	Subresource string          `json:"subresource"`
	Namespace   string          `json:"namespace"`
	Object      json.RawMessage `json:"object"`
	OldObject   json.RawMessage `json:"oldObject"`
}

type compiled struct {
	policy    *admissionregistration.ValidatingAdmissionPolicy
	validator validating.Validator
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	policies, err := readPolicies(os.Args[1])
	if err != nil {
		return err
	}
	if files := os.Args[2:]; len(files) > 0 {
		warnings, err := checkTypes(policies, files)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(warnings)
	}
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return fmt.Errorf("no list of requests on standard input: %w", err)
	}
	answers := make([][]string, len(requests))
	for number, each := range requests {
		if answers[number], err = judge(each, policies); err != nil {
			return fmt.Errorf("request %d: %w", number, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

// readPolicies returns the policies that a binding puts in force.
func readPolicies(path string) ([]compiled, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var policies []*admissionregistration.ValidatingAdmissionPolicy
	bound := map[string]bool{}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var kind struct{ Kind string }
		if err := sigsyaml.Unmarshal(document, &kind); err != nil {
			return nil, err
		}
		switch kind.Kind {
		case "ValidatingAdmissionPolicy":
			policy := &admissionregistration.ValidatingAdmissionPolicy{}
			if err := sigsyaml.UnmarshalStrict(document, policy); err != nil {
				return nil, err
			}
			policies = append(policies, policy)
		case "ValidatingAdmissionPolicyBinding":
			binding := admissionregistration.ValidatingAdmissionPolicyBinding{}
			if err := sigsyaml.UnmarshalStrict(document, &binding); err != nil {
				return nil, err
			}
			for _, action := range binding.Spec.ValidationActions {
				bound[binding.Spec.PolicyName] = bound[binding.Spec.PolicyName] || action == admissionregistration.Deny
			}
		}
	}
	var inForce []compiled
	for _, policy := range policies {
		if !bound[policy.Name] {
			return nil, fmt.Errorf("no binding puts %s in force", policy.Name)
		}
		validator, err := compile(policy)
		if err != nil {
			return nil, err
		}
		inForce = append(inForce, compiled{policy, validator})
	}
	return inForce, nil
}

// compile does what the API server does with a policy that is new to it.
func compile(policy *admissionregistration.ValidatingAdmissionPolicy) (validating.Validator, error) {
	const strictCost = true
	base := environment.MustBaseEnvSet(version.MajorMinor(1, 30), strictCost)
	template, err := cel.NewCompositionEnv(cel.VariablesTypeName, base)
	if err != nil {
		return nil, err
	}
	compiler := cel.NewCompositedCompilerFromTemplate(template)
	options := cel.OptionalVariableDeclarations{HasAuthorizer: true, StrictCost: strictCost}
	mode := environment.NewExpressions
	for _, each := range policy.Spec.Variables {
		variable := &validating.Variable{Name: each.Name, Expression: each.Expression}
		if result := compiler.CompileAndStoreVariable(variable, options, mode); result.Error != nil {
			return nil, fmt.Errorf("%s: variable %s: %w", policy.Name, each.Name, result.Error)
		}
	}
	var conditions, validations, messages []cel.ExpressionAccessor
	for number := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[number]))
	}
	for _, each := range policy.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{
			Expression: each.Expression, Message: each.Message, Reason: each.Reason,
		})
		// One for each validation, or none: they are told apart by their places.
		var message cel.ExpressionAccessor
		if each.MessageExpression != "" {
			message = &validating.MessageExpressionCondition{MessageExpression: each.MessageExpression}
		}
		messages = append(messages, message)
	}
	for _, each := range append(append([]cel.ExpressionAccessor{}, conditions...), validations...) {
		if result := compiler.CompileCELExpression(each, options, mode); result.Error != nil {
			return nil, fmt.Errorf("%s: %s: %w", policy.Name, each.GetExpression(), result.Error)
		}
	}
	failurePolicy := policy.Spec.FailurePolicy
	matcher := matchconditions.NewMatcher(
		compiler.CompileCondition(conditions, options, mode),
		failurePolicy, "policy", "validate", policy.Name,
	)
	return validating.NewValidator(
		compiler.CompileCondition(validations, options, mode),
		matcher,
		compiler.CompileCondition(nil, options, mode),
		compiler.CompileCondition(messages, options, mode),
		failurePolicy,
	), nil
}

// judge returns the messages of the validations that refuse the request; an empty list lets it pass.
func judge(asked request, policies []compiled) ([]string, error) {
	resource := schema.GroupVersionResource{Group: asked.Group, Version: asked.Version, Resource: asked.Resource}
	object, err := read(asked.Object)
	if err != nil {
		return nil, err
	}
	old, err := read(asked.OldObject)
	if err != nil {
		return nil, err
	}
	var kind schema.GroupVersionKind
	name := ""
	for _, each := range []*unstructured.Unstructured{old, object} {
		if each != nil {
			kind, name = each.GroupVersionKind(), each.GetName()
		}
	}
	attributes := admission.NewAttributesRecord(
		asObject(object), asObject(old), kind, asked.Namespace, name, resource, asked.Subresource,
		admission.Operation(asked.Operation), nil, false, &user.DefaultInfo{Name: asked.User},
	)
	versioned := &admission.VersionedAttributes{
		Attributes: attributes, VersionedKind: kind,
		VersionedObject: asObject(object), VersionedOldObject: asObject(old),
	}
	refusals := []string{}
	for _, each := range policies {
		if !isMeant(each.policy, attributes) {
			continue
		}
		result := each.validator.Validate(
			context.Background(), resource, versioned, nil, nil, apiservercel.RuntimeCELCostBudget, nil,
		)
		for _, decision := range result.Decisions {
			if decision.Action == validating.ActionDeny {
				refusals = append(refusals, decision.Message)
			}
		}
	}
	return refusals, nil
}

func isMeant(policy *admissionregistration.ValidatingAdmissionPolicy, attributes admission.Attributes) bool {
	for _, each := range policy.Spec.MatchConstraints.ResourceRules {
		matcher := rules.Matcher{Rule: each.RuleWithOperations, Attr: attributes}
		if matcher.Matches() {
			return true
		}
	}
	return false
}

// read brings an object into the form in which the API server shows it to expressions: what its kind
// does not know, or what is nothing, is not there.
func read(text json.RawMessage) (*unstructured.Unstructured, error) {
	if len(text) == 0 || bytes.Equal(text, []byte("null")) {
		return nil, nil
	}
	plain := &unstructured.Unstructured{}
	if err := plain.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	kind := plain.GroupVersionKind()
	typed, err := scheme.Scheme.New(kind)
	if runtime.IsNotRegisteredError(err) {
		return plain, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, typed); err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	return &unstructured.Unstructured{Object: content}, err
}

// asObject keeps nothing from becoming something: an interface around a nil pointer is not nil.
func asObject(found *unstructured.Unstructured) runtime.Object {
	if found == nil {
		return nil
	}
	return found
}
