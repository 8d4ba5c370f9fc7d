// Headers that are added to requests of a sandbox on their way out, by the name of the host (`network.rules`).
import { SandportError } from '@sandport/protocol/errors';
import { readPattern } from '../egress/domain-pattern.ts';
import type { HeaderTransform } from '../host/network/egress-policy.ts';

/** As the clients send them. */
export type HeaderRules = Readonly<
  Record<string, readonly { readonly transform?: { readonly headers?: Readonly<Record<string, string>> } }[]>
>;

const MAX_DOMAINS = 10;
const MAX_DOMAIN = 128;
const MAX_HEADERS = 20;
const MAX_NAME = 64;
const MAX_VALUE = 2048;
/** RFC 9110, sections 5.6.2 and 5.5. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/;
/** They say where a message goes and ends; another value would make it another message. */
const FRAMING = new Set([
  'host',
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Throws `invalid_network_rule`, or `not_supported` for placeholders of secrets that this server does not keep. */
export function validateHeaderRules(rules: HeaderRules): void {
  const domains = Object.entries(rules);
  if (domains.length > MAX_DOMAINS)
    throw invalid(`network rules for ${domains.length} domains: at most ${MAX_DOMAINS}`);
  const seen = new Set<string>();
  for (const [domain, list] of domains) {
    const pattern = domain.length <= MAX_DOMAIN ? readPattern(domain) : undefined;
    if (pattern === undefined)
      throw invalid(`invalid network rule domain "${domain}": a name such as api.example.com or *.example.com`);
    if (seen.has(pattern)) throw invalid(`network rules name the domain "${pattern}" twice`);
    seen.add(pattern);
    if (list.length > 1) throw invalid(`network rules of "${domain}": at most one transform`);
    const headers = Object.entries(list[0]?.transform?.headers ?? {});
    if (headers.length > MAX_HEADERS) throw invalid(`network rules of "${domain}": at most ${MAX_HEADERS} headers`);
    for (const [name, value] of headers) validateHeader(domain, name, value);
  }
}

function validateHeader(domain: string, name: string, value: string): void {
  if (!TOKEN.test(name) || name.length > MAX_NAME)
    throw invalid(`network rules of "${domain}": invalid header name "${name.slice(0, MAX_NAME)}"`);
  if (FRAMING.has(name.toLowerCase()))
    throw invalid(`network rules of "${domain}": the header "${name}" cannot be set`);
  // The value is a secret: it is not repeated.
  if (!VALUE.test(value) || value.length > MAX_VALUE)
    throw invalid(`network rules of "${domain}": invalid value of the header "${name}"`);
  if (value.includes('${e2b.')) {
    throw new SandportError(
      'not_supported',
      `network rules of "${domain}": this server keeps no secrets or tokens for "${name}"; give the value itself`,
    );
  }
}

/** Those that add something. */
export function headerTransforms(rules: HeaderRules): HeaderTransform[] {
  return Object.entries(rules)
    .map(([domain, list]) => ({ domain: readPattern(domain)!, headers: list[0]?.transform?.headers ?? {} }))
    .filter(({ headers }) => Object.keys(headers).length > 0);
}

/** As they are reported back: domains and names of headers, without their values. */
export function redactedRules(
  rules: HeaderRules,
): Record<string, { transform: { headers: Record<string, string> } }[]> {
  return Object.fromEntries(
    Object.entries(rules).map(([domain, list]) => [
      domain.toLowerCase(),
      list.map(({ transform }) => ({
        transform: {
          headers: Object.fromEntries(Object.keys(transform?.headers ?? {}).map((name) => [name, REDACTED])),
        },
      })),
    ]),
  );
}

const REDACTED = '***';

function invalid(message: string): SandportError {
  return new SandportError('invalid_network_rule', message);
}
