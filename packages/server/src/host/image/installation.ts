// What set-up has put on this machine: the base image and the agent, shared read-only by all sandboxes.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandportError } from '@sandport/protocol/errors';
import type { ImageDirectories } from '../runtime/runtime.ts';

export interface Template {
  readonly id: string;
  readonly alias: string;
  readonly image: ImageDirectories;
  readonly defaultUser: string;
  readonly defaultWorkdir: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface Installation {
  readonly base: Template;
  readonly agentDirectory: string;
}

interface InstallationFile {
  readonly baseImage: { readonly name: string; readonly directory: string };
  readonly agentDirectory: string;
}

interface ImageFile {
  readonly defaultUser: string;
  readonly workdir: string;
  readonly env?: Record<string, string>;
}

/** Where set-up keeps what it makes; `SANDPORT_HOME` moves it. */
export function sandportHome(): string {
  return process.env.SANDPORT_HOME ?? '/var/lib/sandport';
}

/** Reads what set-up wrote. Throws `machine_not_ready` when it has not run. */
export async function readInstallation(home = sandportHome()): Promise<Installation> {
  const file = join(home, 'installation.json');
  let installation: InstallationFile;
  let image: ImageFile;
  try {
    installation = JSON.parse(await readFile(file, 'utf8')) as InstallationFile;
    image = JSON.parse(await readFile(join(installation.baseImage.directory, 'image.json'), 'utf8')) as ImageFile;
  } catch (error) {
    throw new SandportError('machine_not_ready', 'the base image is not there; run "npm run setup"', { cause: error });
  }
  const { directory, name } = installation.baseImage;
  const rootfs = join(directory, 'rootfs');
  if (!existsSync(rootfs) || !existsSync(join(installation.agentDirectory, 'agent.js'))) {
    throw new SandportError('machine_not_ready', `${rootfs} or the agent is missing; run "npm run setup"`);
  }
  return {
    agentDirectory: installation.agentDirectory,
    base: {
      id: name,
      alias: name,
      image: { rootfs, rootfsShifted: join(directory, 'rootfs-shifted') },
      defaultUser: image.defaultUser,
      defaultWorkdir: image.workdir,
      env: image.env ?? {},
    },
  };
}
