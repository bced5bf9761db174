package main

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
)

// The cases of the Responses API.
func responseCases() []testCase {
	cases := []testCase{
		{"plain", responsePlain},
		{"streamed", responseStreamed},
		{"race", responseRace},
	}
	for _, vendor := range [][2]string{
		{"OpenAI", "gpt"}, {"Anthropic", "claude"}, {"Gemini", "gemini"}, {"Claude that thinks", "thinker"},
	} {
		cases = append(cases,
			testCase{"tools, " + vendor[0], func() (string, error) { return responseTools(vendor[1]) }})
	}
	return cases
}

func askFor(model, prompt string) responses.ResponseNewParams {
	input := responses.ResponseNewParamsInputUnion{OfString: param.NewOpt(prompt)}
	return responses.ResponseNewParams{Model: model, Input: input}
}

func responsePlain() (string, error) {
	answer, err := client.Responses.New(ctx, askFor("gpt", "Say hello."))
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

func responseRace() (string, error) {
	answer, err := client.Responses.New(ctx, askFor("slow, gpt", "Say hello."), fastest)
	if err != nil {
		return "", err
	}
	return answer.OutputText(), check(answer.Model == "gpt", answer)
}

// responseTools sends the output back as raw JSON, so that no field of it is lost.
func responseTools(model string) (string, error) {
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
	called, err := client.Responses.New(ctx, params, option.WithJSONSet("input", items))
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
	answer, err := client.Responses.New(ctx, params, option.WithJSONSet("input", items))
	if err != nil {
		return "", err
	}
	text := answer.OutputText()
	isRight := strings.Contains(text, "7 degrees in Oslo") && strings.Contains(text, "7 degrees in Bergen")
	return text, check(isRight, answer)
}
