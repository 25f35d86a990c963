//! Log lines on standard error, above the progress bars where there are any.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::args::LogFormat;
use super::log_file::LogFile;

/// Sets up logging for the whole process. Bars drawn on the result and log lines leave each other alone.
pub(super) fn init(
    format: LogFormat,
    level: &str,
    file: Option<&Path>,
) -> Result<Option<MultiProgress>, String> {
    let bars = io::stderr().is_terminal().then(MultiProgress::new);
    let open = |path: &Path| {
        LogFile::open(path).map_err(|error| {
            format!("--log-file {}: {error}; name a file that can be written", path.display())
        })
    };
    let file = file.map(open).transpose()?;
    let terminal = bars.is_some() && file.is_none();
    let lines = Lines { bars: bars.clone(), file };
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(lines);
    let done = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto if !terminal => builder.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Compact => builder.compact().with_ansi(terminal).try_init(),
    };
    done.map(|()| bars).map_err(|e| format!("logging: {e}"))
}

/// A bare level is meant for this program; libraries then only warn, for what they say on lower levels is
/// neither ours to vouch for (Secrets) nor of use to most.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let directives = match level.parse::<tracing::Level>() {
        Ok(level) => format!("warn,binlog_operator={level}"),
        Err(_) if level.trim().is_empty() => "warn,binlog_operator=info".to_owned(), // RUST_LOG= is set but empty
        Err(_) => level.to_owned(),
    };
    EnvFilter::try_new(directives)
        .map_err(|e| format!("--log-level {level:?}: {e}; write for example info or debug"))
}

#[derive(Clone)]
struct Lines {
    bars: Option<MultiProgress>,
    file: Option<LogFile>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match (&mut self.file, &self.bars) {
            (Some(file), _) => file.write_all(line)?,
            (None, Some(bars)) => bars.suspend(|| io::stderr().write_all(line))?,
            (None, None) => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_levels_leave_libraries_quiet() {
        assert_eq!(filter("debug").unwrap().to_string(), "binlog_operator=debug,warn");
        assert_eq!(filter("").unwrap().to_string(), "binlog_operator=info,warn");
        assert_eq!(filter("info,hyper=debug").unwrap().to_string(), "hyper=debug,info");
        assert!(filter("a=b=c").unwrap_err().contains("write for example info"));
    }
}
