// Command kubernetes answers the questions of answers.json with Kubernetes' own parsers, so that ours can be held to them.
//
//	go run . < answers.json > new.json && mv new.json answers.json
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// answer is a question (kind and text) and what Kubernetes says: whether the text is accepted and, if so, its parts.
type answer struct {
	Kind     string     `json:"kind"`
	Text     string     `json:"text"`
	Accepted bool       `json:"accepted"`
	Result   string     `json:"result,omitempty"`
	Terms    [][]string `json:"terms,omitempty"`
}

var words = map[selection.Operator]string{
	selection.Equals: "In", selection.DoubleEquals: "In", selection.In: "In",
	selection.NotEquals: "NotIn", selection.NotIn: "NotIn",
	selection.Exists: "Exists", selection.DoesNotExist: "DoesNotExist",
	selection.GreaterThan: "Gt", selection.LessThan: "Lt",
}

func (a *answer) ask() {
	a.Accepted, a.Result, a.Terms = false, "", nil
	switch a.Kind {
	case "quantity":
		if quantity, err := resource.ParseQuantity(a.Text); err == nil {
			number, suffix := quantity.CanonicalizeBytes(nil)
			a.Accepted, a.Result = true, string(number)+string(suffix)
		}
	case "duration":
		if duration, err := time.ParseDuration(a.Text); err == nil {
			a.Accepted, a.Result = true, duration.String()
		}
	case "labels":
		if selector, err := labels.Parse(a.Text); err == nil {
			a.Accepted = true
			requirements, _ := selector.Requirements()
			for _, term := range requirements {
				a.Terms = append(a.Terms, append([]string{term.Key(), words[term.Operator()]}, term.Values().List()...))
			}
		}
	case "fields":
		if selector, err := fields.ParseSelector(a.Text); err == nil {
			a.Accepted = true
			for _, term := range selector.Requirements() {
				a.Terms = append(a.Terms, []string{term.Field, words[term.Operator], term.Value})
			}
		}
	default:
		log.Fatalf("unknown kind %q", a.Kind)
	}
}

func main() {
	var answers []answer
	if err := json.NewDecoder(os.Stdin).Decode(&answers); err != nil {
		log.Fatal(err)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	os.Stdout.WriteString("[\n")
	for i := range answers {
		answers[i].ask()
		if i > 0 {
			os.Stdout.WriteString(",")
		}
		if err := encoder.Encode(answers[i]); err != nil {
			log.Fatal(err)
		}
	}
	os.Stdout.WriteString("]\n")
}
