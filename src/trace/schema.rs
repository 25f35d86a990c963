//! What is known of tables beside the binlog.

use std::path::Path;

use super::TraceError;
use super::names::Names;

/// Tables from DDL files or a server.
#[derive(Debug, Default)]
pub struct Schema {
    pub(super) names: Names,
    /// They are as of this moment (microseconds since 1970), the end of the binlog; without it as of its beginning.
    pub(super) as_of: Option<u64>,
    pub(super) troubles: Vec<String>,
}

impl Schema {
    /// Adds a file of DDL statements, as `mysqldump --no-data` writes it. `database` is where its tables are
    /// unless it says so itself.
    pub fn add_file(&mut self, path: &Path, database: Option<&str>) -> Result<(), TraceError> {
        let bytes = std::fs::read(path).map_err(TraceError::io(format!("read {}", path.display())))?;
        let text = String::from_utf8_lossy(&bytes);
        let before = self.names.len();
        let troubles = self.names.add_dump(&text, database);
        if self.names.len() == before && troubles.is_empty() {
            return Err(TraceError::Ddl {
                file: path.display().to_string(),
                reason: "it has no CREATE TABLE that says anything new".into(),
            });
        }
        self.troubles.extend(troubles.into_iter().map(|trouble| format!("{}: {trouble}", path.display())));
        Ok(())
    }

    /// Adds DDL as a server has it now (`SHOW CREATE TABLE`), which is as of the end of its binlogs. `as_of`: by its
    /// own clock, microseconds since 1970.
    pub fn add_live(&mut self, database: &str, ddl: &str, as_of: u64) {
        self.as_of = Some(as_of);
        let troubles = self.names.add_dump(ddl, Some(database));
        self.troubles.extend(troubles);
    }
}
