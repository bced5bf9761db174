"""The AWS stack in CDK. It knows paths and handler names, and never imports the gateway."""
