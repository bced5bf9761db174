package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
)

// The cases of the Responses API.
func responseCases() []testCase {
	cases := []testCase{
		{"cancelled", responseCancelled},
		{"plain", responsePlain},
		{"streamed", responseStreamed},
		{"all, one fails", func() (string, error) { return responseAll(create) }},
		{"all, one fails, streamed", func() (string, error) { return responseAll(finish) }},
		{"race", func() (string, error) { return responseRace(create) }},
		{"race, streamed", func() (string, error) { return responseRace(finish) }},
	}
	for _, vendor := range [][2]string{{"OpenAI", "gpt"}, {"Anthropic", "claude"}, {"Gemini", "gemini"}} {
		cases = append(cases,
			testCase{"tools, " + vendor[0], func() (string, error) { return responseTools(vendor[1]) }},
			testCase{"structured, " + vendor[0], func() (string, error) { return responseStructured(vendor[1]) }})
	}
	return append(cases,
		testCase{"tools, Claude that thinks", func() (string, error) { return responseTools("thinker") }},
		testCase{"unknown model", func() (string, error) { return responseFailure("no-such-model", 404) }},
		testCase{"error", func() (string, error) { return responseFailure("failing", 502) }})
}

// send sends a request, and returns the whole response.
type send func(responses.ResponseNewParams, ...option.RequestOption) (*responses.Response, error)

func askFor(model, prompt string) responses.ResponseNewParams {
	input := responses.ResponseNewParamsInputUnion{OfString: param.NewOpt(prompt)}
	return responses.ResponseNewParams{Model: model, Input: input}
}

func create(params responses.ResponseNewParams, more ...option.RequestOption) (*responses.Response, error) {
	return client.Responses.New(ctx, params, more...)
}

func responsePlain() (string, error) {
	answer, err := create(askFor("gpt", "Say hello."))
	if err != nil {
		return "", err
	}
	return answer.OutputText(), check(answer.Usage.OutputTokens == 7 && answer.Model == "gpt", answer)
}

// finish returns the whole response, which the last event of a stream has.
func finish(params responses.ResponseNewParams, more ...option.RequestOption) (*responses.Response, error) {
	stream := client.Responses.NewStreaming(ctx, params, more...)
	var found *responses.Response
	for stream.Next() {
		if event := stream.Current(); event.Type == "response.completed" {
			found = &event.Response
		}
	}
	if found == nil && stream.Err() == nil {
		return nil, errors.New("the stream has no whole response")
	}
	return found, stream.Err()
}

func responseStreamed() (string, error) {
	answer, err := finish(askFor("gpt", "Say hello."))
	if err != nil {
		return "", err
	}
	return answer.OutputText(), check(answer.OutputText() == "Hello from gpt-4o.", answer)
}

// responseAll checks that the first response is the output, and the others are in the field "fanout".
func responseAll(ask send) (string, error) {
	answer, err := ask(askFor("slow, broken, gpt", "Say hello."))
	if err != nil {
		return "", err
	}
	var report struct{ Responses []responses.Response }
	if err := json.Unmarshal([]byte(answer.JSON.ExtraFields["fanout"].Raw()), &report); err != nil {
		return "", err
	}
	text := answer.OutputText()
	for _, one := range report.Responses {
		if one.Status == "failed" {
			isRight := (text == "Hello from slow." || text == "Hello from gpt-4o.") && len(report.Responses) == 2
			return one.Error.Message, check(isRight, answer)
		}
	}
	return "", errors.New("no response has failed")
}

func responseRace(ask send) (string, error) {
	answer, err := ask(askFor("slow, gpt", "Say hello."), fastest)
	if err != nil {
		return "", err
	}
	return answer.OutputText(), check(answer.Model == "gpt", answer)
}

func responseStructured(model string) (string, error) {
	params := askFor(model, "Say hello.")
	params.Text.Format = responses.ResponseFormatTextConfigParamOfJSONSchema("weather", weatherSchema)
	answer, err := create(params)
	if err != nil {
		return "", err
	}
	return checkStructured(answer.OutputText())
}

func responseFailure(model string, status int) (string, error) {
	_, err := create(askFor(model, "Say hello."))
	return checkRaised(err, status)
}

func responseCancelled() (string, error) {
	cancellable, cancel := context.WithCancel(ctx)
	stream := client.Responses.NewStreaming(cancellable, askFor("endless", "Say hello."))
	words := 0
	for words < 4 && stream.Next() {
		if stream.Current().Type == "response.output_text.delta" {
			words++
		}
	}
	cancel()
	time.Sleep(300 * time.Millisecond)
	return fmt.Sprintf("after %d words", words), check(words == 4, words)
}

func responseTools(model string) (string, error) {
	if _, err := converseByResponses(model, create); err != nil {
		return "", err
	}
	return converseByResponses(model, finish)
}

// converseByResponses sends the output back as raw JSON, so that no field of it is lost.
func converseByResponses(model string, ask send) (string, error) {
	params := askFor(model, "")
	parameters := map[string]any{
		"type":                 "object",
		"properties":           map[string]any{"city": map[string]any{"type": "string"}},
		"required":             []string{"city"},
		"additionalProperties": false,
	}
	params.Tools = []responses.ToolUnionParam{responses.ToolParamOfFunction("get_weather", parameters, true)}
	question := map[string]string{"role": "user", "content": "What is the weather in Oslo and in Bergen?"}
	items := []any{question}
	called, err := ask(params, option.WithJSONSet("input", items))
	if err != nil {
		return "", err
	}
	for _, item := range called.Output {
		items = append(items, json.RawMessage(item.RawJSON()))
	}
	for _, item := range called.Output {
		if item.Type != "function_call" {
			continue
		}
		var arguments struct{ City string }
		if err := json.Unmarshal([]byte(item.AsFunctionCall().Arguments), &arguments); err != nil {
			return "", err
		}
		items = append(items, map[string]string{
			"type": "function_call_output", "call_id": item.CallID, "output": "7 degrees in " + arguments.City,
		})
	}
	answer, err := ask(params, option.WithJSONSet("input", items))
	if err != nil {
		return "", err
	}
	text := answer.OutputText()
	isRight := strings.Contains(text, "7 degrees in Oslo") && strings.Contains(text, "7 degrees in Bergen")
	return text, check(isRight, answer)
}
