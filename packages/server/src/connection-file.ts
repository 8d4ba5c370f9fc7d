// What a program on this machine needs to reach the server: written at the start, read by "sandport env".
import type { Settings } from './settings.ts';

export interface ConnectionFile {
  /** With the gateway's port where it is not 443. */
  readonly domain: string;
  readonly apiKey: string;
  readonly apiUrl: string;
  readonly scheme: 'https' | 'http';
  readonly caPath: string;
  readonly systemCaBundlePath: string;
}

const HTTPS_PORT = 443;

/** The domain as clients have to write it: with the port of the first address unless HTTPS is on its own port. */
export function publicDomain(settings: Settings): string {
  const ports = settings.listen.map(({ port }) => port);
  return ports.includes(HTTPS_PORT) ? settings.domain : `${settings.domain}:${ports[0]}`;
}
