mock_provider "aws" {
  source = "./tests/mocks"
}

run "what_is_made_in_the_same_run_can_be_planned" {
  command = plan

  module {
    source = "./tests/made-together"
  }

  assert {
    condition     = contains(output.rules, "files")
    error_message = join(", ", output.rules)
  }
}
