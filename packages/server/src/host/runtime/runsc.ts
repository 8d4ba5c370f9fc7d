// gVisor: a kernel of its own for each sandbox, in user space.
import { execFile } from 'node:child_process';
import type { ProcessIdentity } from '../../process-identity.ts';
import { runscCapabilities } from './capabilities.ts';
import { OciCommands } from './oci-runtime.ts';
import { ociSpec } from './oci-spec.ts';
import type { Checkpoints, ContainerSpec, ContainerState, Runtime } from './runtime.ts';

/**
 * Hides /proc/sys/net from runsc. runsc takes the presence of net/core/rmem_default for the mark of the root network
 * namespace, and kernels from about 6.13 on show that file in every namespace.
 */
export const HIDE_SYSCTL_NET = [
  'unshare',
  '--mount',
  '--propagation',
  'slave',
  'sh',
  '-c',
  'mount -t tmpfs -o ro tmpfs /proc/sys/net && exec "$@"',
  'sh',
];

/** A checkpoint that fails without leave-running ends the sandbox. Compression costs more than the disk saves. */
export const SAVE_FLAGS = ['--leave-running', '--compression=none', '--exclude-committed-zero-pages'];
/**
 * What is to be on the disk is there sooner past the page cache, and what is not in the cache is read in half the time
 * past it; what is read again at once is better kept in it.
 */
export const PAST_CACHE_FLAG = '--direct';

export interface RuntimePlace {
  /** Directory under /run for this instance's runtime state. */
  readonly stateDirectory: string;
  /** Parent cgroup of this instance's sandboxes, such as `/sandport/a1b2c3`. */
  readonly cgroupParent: string;
  readonly maxOpenFiles: number;
}

export async function createRunsc(place: RuntimePlace): Promise<Runtime> {
  return new Runsc(place, (await showsRootSysctls()) ? HIDE_SYSCTL_NET : []);
}

class Runsc implements Runtime {
  readonly name = 'runsc';
  readonly checkpoints: Checkpoints = {
    save: (id, directory, durable) => {
      const flags = durable ? [...SAVE_FLAGS, PAST_CACHE_FLAG] : SAVE_FLAGS;
      return this.#commands.checkpoint(id, ['--image-path', directory, ...flags]);
    },
    prepare: (spec) => this.#commands.create(spec.id, spec.bundle, this.#config(spec), overlayFlags(spec)),
    restore: (spec, directory, { prepared, durable }) => {
      const flags = ['--image-path', directory, ...(durable ? [PAST_CACHE_FLAG] : [])];
      const config = prepared ? undefined : this.#config(spec);
      return this.#commands.restore(spec.id, spec.bundle, config, overlayFlags(spec), flags);
    },
  };
  readonly #commands: OciCommands;
  readonly #place: RuntimePlace;

  constructor(place: RuntimePlace, launcher: readonly string[]) {
    this.#place = place;
    this.#commands = new OciCommands({
      binary: 'runsc',
      stateDirectory: place.stateDirectory,
      launcher,
      // net-disconnect-ok has to be given at the start for a later checkpoint with open connections to succeed.
      // Without raw sockets, whatever else runsc's default becomes: of them a packet of any kind can be made.
      globalFlags: ['--platform=systrap', '--network=sandbox', '--net-disconnect-ok', '--net-raw=false'],
    });
  }

  run(spec: ContainerSpec): Promise<ProcessIdentity> {
    return this.#commands.run(spec.id, spec.bundle, this.#config(spec), overlayFlags(spec));
  }

  #config(spec: ContainerSpec): object {
    return ociSpec(spec, {
      rootfs: spec.image.rootfs,
      capabilities: runscCapabilities,
      extraNamespaces: [],
      mounts: [{ destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] }],
      cgroupsPath: `${this.#place.cgroupParent}/${spec.id}`,
      maxOpenFiles: this.#place.maxOpenFiles,
    });
  }

  kill(id: string): Promise<void> {
    return this.#commands.kill(id);
  }

  remove(id: string): Promise<void> {
    return this.#commands.delete(id);
  }

  endOrphans(): Promise<void> {
    return this.#commands.endOrphans();
  }

  list(): Promise<readonly ContainerState[]> {
    return this.#commands.list();
  }
}

/** The image stays as it is: gVisor's own overlay keeps what the sandbox writes in one file on its disk. */
function overlayFlags({ writable }: ContainerSpec): string[] {
  return [`--overlay2=root:dir=${writable}`];
}

/** Whether a fresh network namespace shows what only the root one showed on older kernels. */
function showsRootSysctls(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('unshare', ['--net', 'test', '-e', '/proc/sys/net/core/rmem_default'], (error) => resolve(error === null));
  });
}
