//! `lockkeeper completions` and `lockkeeper man`: what a shell and a reader need to know of the commands.

use std::io::{self, Write as _};

use clap::{ArgAction, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Arguments, Ended, say};

/// For which shell.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Options {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn completions(options: Options) -> Ended {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "lockkeeper", &mut script);
    say(&String::from_utf8_lossy(&script));
    Ended::Done
}

/// One page, with every command.
pub(super) fn man() -> Ended {
    match page() {
        Ok(page) => {
            say(&String::from_utf8_lossy(&page));
            Ended::Done
        }
        Err(why) => Ended::Failed(why.into()),
    }
}

fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let mut command = Arguments::command();
    command.build();
    let whole = Man::new(command.clone().override_usage(synopsis(&command)));
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    for sub in command.get_subcommands().filter(|it| it.get_name() != "help") {
        let part = Man::new(sub.clone());
        writeln!(page, ".SH \"LOCKKEEPER {}\"", sub.get_name().to_uppercase())?;
        part.render_description_section(&mut page)?;
        part.render_options_section(&mut page)?;
        part.render_extra_section(&mut page)?;
    }
    whole.render_extra_section(&mut page)?;
    Ok(page)
}

/// How it is called, with what each option takes.
fn synopsis(command: &Command) -> String {
    let mut words = vec![command.get_name().to_owned()];
    for option in command.get_opts() {
        let long = option.get_long().unwrap_or_default();
        let values = option.get_value_names().unwrap_or_default().join(" ");
        let repeats = if matches!(option.get_action(), ArgAction::Append) { "..." } else { "" };
        words.push(format!("[--{long} {values}]{repeats}"));
    }
    words.push("COMMAND".into());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_tells_of_every_command_and_refers_to_no_other() {
        let page = String::from_utf8(page().expect("written")).expect("text");
        for command in Arguments::command().get_subcommands() {
            let title = format!(".SH \"LOCKKEEPER {}\"", command.get_name().to_uppercase());
            assert!(page.contains(&title), "{title}");
        }
        assert!(
            page.contains("\\fBlockkeeper\\fR [\\-\\-config FILE]... [\\-\\-output FORM] COMMAND\n"),
            "{page}"
        );
        assert!(page.contains("lockkeeper rollback api \\-\\-wait") && !page.contains("(1)"), "{page}");
    }
}
