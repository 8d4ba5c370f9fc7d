// What makes a program written for either SDK use this server.
import type { ConnectionFile } from '@sandport/server/connection-file';

export function programEnvironment(connection: ConnectionFile): Record<string, string> {
  const { domain, apiKey, caPath, systemCaBundlePath } = connection;
  return {
    E2B_DOMAIN: domain,
    E2B_API_KEY: apiKey,
    SANDPORT_DOMAIN: domain,
    SANDPORT_API_KEY: apiKey,
    NODE_EXTRA_CA_CERTS: caPath,
    SSL_CERT_FILE: systemCaBundlePath,
  };
}
