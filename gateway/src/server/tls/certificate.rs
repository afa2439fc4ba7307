//! What a certificate says of its owner.

use model::Nanos;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// What a certificate says of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its subject as text, as `CN=spoke, O=acme`.
    pub subject: String,
    /// URIs among its other names: SPIFFE ids.
    pub uris: Vec<String>,
    /// When it ends.
    pub not_after: Nanos,
}

impl Certificate {
    /// Reads one.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, certificate) =
            parse_x509_certificate(der).map_err(|fault| format!("no certificate: {fault}"))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|fault| format!("its other names: {fault}"))?;
        let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
        let uri = |name: &GeneralName<'_>| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        };
        let not_after = certificate.validity().not_after.timestamp();
        Ok(Self {
            subject: certificate.subject().to_string(),
            uris: names.iter().filter_map(uri).collect(),
            not_after: Nanos::from_secs(u64::try_from(not_after).unwrap_or(0)),
        })
    }
}
