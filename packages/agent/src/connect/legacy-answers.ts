// The first Python client fails on fields that it does not know. It gets the messages that it was made for.
import { FILESYSTEM_SERVICE } from '@sandport/protocol/filesystem-rpc';
import type { Codec } from './codec.ts';
import type { MethodName } from './method.ts';

/** Its whole User-Agent; later clients call themselves otherwise. */
const LEGACY_AGENT = 'connect-python';
export const LEGACY_HEADER = 'x-e2b-legacy-sdk';

export function isLegacyClient(userAgent: string | undefined): boolean {
  return userAgent === LEGACY_AGENT;
}

/** Encodes less: only messages of the filesystem service have grown since. */
export function legacyCodec(codec: Codec, { service }: MethodName): Codec {
  if (service !== FILESYSTEM_SERVICE) return codec;
  return { ...codec, encode: (message) => codec.encode(reduce(message as Fields)) };
}

type Fields = Readonly<Record<string, unknown>>;

function reduce(message: Fields): Fields {
  const { entry, entries, filesystem, events } = message;
  return {
    ...message,
    ...(isFields(entry) && { entry: reduceEntry(entry) }),
    ...(Array.isArray(entries) && { entries: entries.map(reduceEntry) }),
    ...(isFields(filesystem) && { filesystem: reduceEvent(filesystem) }),
    ...(Array.isArray(events) && { events: events.map(reduceEvent) }),
  };
}

/** A dangling link has no type: there was none for it. */
function reduceEntry({ name, type, path }: Fields): Fields {
  return { name, path, ...(type !== 'FILE_TYPE_SYMLINK' && { type }) };
}

function reduceEvent({ name, type }: Fields): Fields {
  return { name, type };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
