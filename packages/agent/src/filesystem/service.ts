// filesystem.Filesystem: looking at, making, moving, removing and watching files. Everything is done as root; the user of the
// call is whose home relative paths start from and who owns what is made.
import { lstat, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type EntryResponse, FILESYSTEM_SERVICE, type ListDirResponse } from '@sandport/protocol/filesystem-rpc';
import { readAccountNames } from '../access/account-names.ts';
import { expandPath } from '../access/paths.ts';
import { requestedUser } from '../access/requested-user.ts';
import type { SandboxDefaults } from '../access/sandbox-defaults.ts';
import type { User } from '../access/users.ts';
import type { Call } from '../connect/call.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { asMessage, type Fields, invalid, optionalText, optionalUint32 } from '../connect/message-fields.ts';
import type { Method, Service } from '../connect/method.ts';
import { makeDirectories } from '../files/write-file.ts';
import { describeEntry } from './entry.ts';
import { filesystemError } from './filesystem-error.ts';
import { listDirectory } from './list-directory.ts';
import { moveEntry } from './move.ts';
import type { WatchWish } from './watch/watch-request.ts';
import type { Describe, Watchers } from './watch/watchers.ts';

/** A request with its paths made absolute. */
interface PathCall {
  readonly fields: Fields;
  readonly user: User;
  readonly root: string;
  /** The absolute path that a field means. */
  path(field: string): string;
}

export function filesystemService(defaults: () => SandboxDefaults): Service {
  const unary = (handle: (call: PathCall) => Promise<object>): Method => ({
    kind: 'unary',
    handle: (message, call) => handle(readCall(message, call, defaults())),
  });
  const methods: Record<string, Method> = {
    Stat: unary(statEntry),
    MakeDir: unary(makeDirectory),
    Move: unary(move),
    ListDir: unary(list),
    Remove: unary(remove),
    WatchDir: {
      kind: 'server-stream',
      handle: async (message, call, stream) => {
        const request = readCall(message, call, defaults());
        await watchers(request, (all, wish, describe) => all.stream(wish, describe, call, stream));
      },
    },
    CreateWatcher: unary(async (call) => ({
      watcherId: await watchers(call, (all, wish, describe) => all.create(wish, describe)),
    })),
    GetWatcherEvents: unary(async (call) => {
      const events = (await allWatchers()).take(optionalText(call.fields, 'watcherId') ?? '');
      return events.length === 0 ? {} : { events };
    }),
    RemoveWatcher: unary(async (call) => {
      (await allWatchers()).remove(optionalText(call.fields, 'watcherId') ?? '');
      return {};
    }),
  };
  return { name: FILESYSTEM_SERVICE, methods: new Map(Object.entries(methods)) };
}

function readCall(message: unknown, call: Call, { defaultUser, defaultWorkdir, root }: SandboxDefaults): PathCall {
  const fields = asMessage(message, 'the request');
  const user = requestedUser(call.authorization, defaultUser, root);
  return {
    fields,
    user,
    root,
    path(field) {
      try {
        return expandPath(optionalText(fields, field) ?? '', user, defaultWorkdir);
      } catch (error) {
        throw error instanceof RangeError ? invalid(error.message) : error;
      }
    },
  };
}

async function entryAt(path: string, root: string): Promise<EntryResponse> {
  return { entry: await about(path, describeEntry(path, readAccountNames(root))) };
}

async function statEntry(call: PathCall): Promise<EntryResponse> {
  return entryAt(call.path('path'), call.root);
}

async function makeDirectory(call: PathCall): Promise<EntryResponse> {
  const path = call.path('path');
  const existing = await stat(path).catch(() => undefined);
  if (existing?.isDirectory()) throw new ConnectError('already_exists', `directory '${path}' exists already`);
  if (existing !== undefined) throw invalid(`path '${path}' exists already and is not a directory`);
  await about(path, makeDirectories(path, call.user));
  return entryAt(path, call.root);
}

async function move(call: PathCall): Promise<EntryResponse> {
  const source = call.path('source');
  const destination = call.path('destination');
  await about(source, lstat(source));
  await about(destination, makeDirectories(dirname(destination), call.user));
  await about(destination, moveEntry(source, destination));
  return entryAt(destination, call.root);
}

async function list(call: PathCall): Promise<ListDirResponse> {
  const path = call.path('path');
  const depth = optionalUint32(call.fields, 'depth') || 1;
  const entries = await about(path, listDirectory(path, depth, readAccountNames(call.root)));
  return entries.length === 0 ? {} : { entries };
}

async function remove(call: PathCall): Promise<object> {
  const path = call.path('path');
  await about(path, rm(path, { recursive: true, force: true }));
  return {};
}

let known: Promise<Watchers> | undefined;

/** Made when the first is asked for: most sandboxes never watch anything. */
function allWatchers(): Promise<Watchers> {
  known ??= import('./watch/watchers.ts').then((module) => new module.Watchers());
  return known;
}

async function watchers<Result>(
  call: PathCall,
  use: (all: Watchers, wish: WatchWish, describe: Describe) => Promise<Result>,
): Promise<Result> {
  const path = call.path('path');
  const { readWatchWish } = await import('./watch/watch-request.ts');
  const wish = await about(path, readWatchWish(call.fields, path));
  const names = readAccountNames(call.root);
  return about(
    path,
    use(await allWatchers(), wish, (file) => describeEntry(file, names)),
  );
}

/** Awaits a file operation, whose failure is about that path. */
function about<Result>(path: string, operation: Promise<Result>): Promise<Result> {
  return operation.catch((error: unknown) => {
    throw filesystemError(error, path);
  });
}
