"""State machines out of a template: filled in, and read for what no linter sees."""

from __future__ import annotations

from scripts.aws.state_machines import definitions, filled, problems


def test_references_are_filled_in() -> None:
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "Bucket"}, "/*"]
    assert filled({"Fn::Join": ["", parts]}) == (
        "arn:aws:s3:::arn:aws:lambda:eu-west-1:111111111111:function:Bucket/*"
    )
    assert filled({"Fn::GetAtt": ["Work", "Arn"]}).endswith(":function:Work")


def test_only_state_machines_are_found() -> None:
    text = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": text}}
    found = dict(definitions({"M": machine, "T": {"Type": "AWS::SNS::Topic"}}))
    assert found == {"M": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}}


def test_a_path_that_would_be_passed_on_as_a_text_is_told() -> None:
    state = {"ItemBatcher": {"BatchInput": {"job": "$.job", "other.$": "$.other", "n": 1}}}
    assert list(problems({"States": {"Map": state}})) == [
        "`States.Map.ItemBatcher.BatchInput.job` is the text `$.job`; is `job.$` meant?"
    ]


def test_paths_where_they_belong_are_no_problem() -> None:
    state = {"InputPath": "$.a", "Parameters": {"a.$": "$.b", "deep": {"c.$": "$$.d"}}}
    assert list(problems({"States": {"Work": state}, "Choices": [{"Variable": "$.x"}]})) == []


def test_in_jsonata_a_path_needs_its_brackets() -> None:
    task = {"Arguments": {"Payload": {"job": "$states.input.job", "n": "{% $states.input.n %}"}}}
    (told,) = problems({"QueryLanguage": "JSONata", "States": {"Work": task}})
    place, meant = "States.Work.Arguments.Payload.job", "{% $states.input.job %}"
    assert told == f"`{place}` is the text `$states.input.job`; is `{meant}` meant?"
