//! `lockkeeper completions` and `lockkeeper man`: what a shell and a reader need to know of the commands.

use clap::CommandFactory as _;
use clap_complete::Shell;

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
    let mut page = Vec::new();
    let mut command = Arguments::command();
    command.build();
    let mut written = clap_mangen::Man::new(command.clone()).render(&mut page);
    for sub in command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
        let of_sub = clap_mangen::Man::new(sub.clone());
        let title = format!(".SH \"lockkeeper {}\"\n", sub.get_name());
        page.extend(title.as_bytes());
        let parts = [of_sub.render_description_section(&mut page), of_sub.render_options_section(&mut page)];
        written = parts.into_iter().fold(written, Result::and).and(of_sub.render_extra_section(&mut page));
    }
    match written {
        Ok(()) => {
            say(&String::from_utf8_lossy(&page));
            Ended::Done
        }
        Err(why) => Ended::Failed(why.into()),
    }
}
