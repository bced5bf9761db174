// What the cases of both APIs share: runs each case and prints its result as one JSON line.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/openai/openai-go/v3"
)

const module = "github.com/openai/openai-go/v3"

var weatherSchema = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"city":    map[string]any{"type": "string"},
		"degrees": map[string]any{"type": "integer", "minimum": -90, "maximum": 60},
	},
	"required":             []string{"city", "degrees"},
	"additionalProperties": false,
}

type testCase struct {
	name string
	run  func() (string, error)
}

// run runs each case and prints its result; api is what the client's name has of the API.
func run(api string, cases []testCase) {
	for _, one := range cases {
		result, err := one.run()
		line := map[string]string{"client": name(api), "case": one.name, "result": result, "fault": ""}
		if err != nil {
			line["fault"] = err.Error()
		}
		data, _ := json.Marshal(line)
		fmt.Println(string(data))
	}
}

func name(api string) string {
	info, _ := debug.ReadBuildInfo()
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			return "openai-go " + strings.TrimPrefix(dependency.Version, "v") + api + " (Go)"
		}
	}
	return "openai-go" + api + " (Go)"
}

func check(condition bool, found any) error {
	if condition {
		return nil
	}
	data, _ := json.Marshal(found)
	return errors.New(string(data))
}

func checkStructured(text string) (string, error) {
	var found struct {
		City    string
		Degrees int
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return "", err
	}
	return text, check(found.City == "Oslo" && found.Degrees == 7, found)
}

// checkRaised checks that err is the SDK's error for an HTTP status.
func checkRaised(err error, status int) (string, error) {
	var raised *openai.Error
	if !errors.As(err, &raised) {
		return "", fmt.Errorf("not an API error: %v", err)
	}
	return fmt.Sprintf("openai.Error: %d", raised.StatusCode), check(raised.StatusCode == status, raised.StatusCode)
}
