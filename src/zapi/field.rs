//! The fields and parameters in which Z-API's privacy calls carry their values.

use crate::telemetry::Reason;

/// A field of a body, or a parameter of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    VisualizationType,
    Type,
    Value,
}

impl Field {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VisualizationType => "visualizationType",
            Self::Type => "type",
            Self::Value => "value",
        }
    }
}

impl From<Field> for Reason {
    fn from(field: Field) -> Self {
        match field {
            Field::VisualizationType => Self::FieldVisualizationType,
            Field::Type => Self::FieldType,
            Field::Value => Self::FieldValue,
        }
    }
}
