// runc: namespaces, seccomp and dropped capabilities on the machine's own kernel. Faster than gVisor, and a weaker wall.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessIdentity } from '../../process-identity.ts';
import { runCommand } from '../run-command.ts';
import { runcCapabilities } from './capabilities.ts';
import { OciCommands } from './oci-runtime.ts';
import { ociSpec } from './oci-spec.ts';
import type { RuntimePlace } from './runsc.ts';
import type { ContainerSpec, ContainerState, Freezer, Runtime } from './runtime.ts';
import { seccompProfile } from './seccomp.ts';

/** Root inside is this id outside, which owns nothing on the machine. The shifted image is made for the same range. */
export const ID_SHIFT = 100_000;
const ID_COUNT = 65_536;

export class Runc implements Runtime {
  readonly name = 'runc';
  readonly freezer: Freezer = {
    freeze: (id) => this.#commands.pause(id),
    thaw: (id) => this.#commands.resume(id),
  };
  readonly #commands: OciCommands;
  readonly #place: RuntimePlace;

  constructor(place: RuntimePlace) {
    this.#place = place;
    this.#commands = new OciCommands({ binary: 'runc', stateDirectory: place.stateDirectory, globalFlags: [] });
  }

  async run(spec: ContainerSpec): Promise<ProcessIdentity> {
    const rootfs = rootfsOf(spec.bundle);
    const upper = join(spec.writable, 'upper');
    const work = join(spec.writable, 'work');
    await Promise.all([rootfs, upper, work].map((directory) => mkdir(directory, { recursive: true, mode: 0o755 })));
    await runCommand('chown', [`${ID_SHIFT}:${ID_SHIFT}`, upper, work]);
    const overlay = `lowerdir=${spec.image.rootfsShifted},upperdir=${upper},workdir=${work}`;
    await runCommand('mount', ['-t', 'overlay', '-o', overlay, 'overlay', rootfs]);
    const mapping = [{ containerID: 0, hostID: ID_SHIFT, size: ID_COUNT }];
    const config = ociSpec(spec, {
      rootfs,
      capabilities: runcCapabilities,
      extraNamespaces: [{ type: 'user' }, { type: 'cgroup' }],
      idMappings: mapping,
      mounts: [
        { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
        // A user namespace may mount sysfs only over a network namespace of its own, and the slot's is the machine's.
        { destination: '/sys', type: 'bind', source: '/sys', options: ['rbind', 'nosuid', 'noexec', 'nodev', 'ro'] },
      ],
      maskedPaths: [
        '/proc/acpi',
        '/proc/asound',
        '/proc/interrupts',
        '/proc/kcore',
        '/proc/keys',
        '/proc/latency_stats',
        '/proc/sched_debug',
        '/proc/scsi',
        '/proc/timer_list',
        '/proc/timer_stats',
        '/sys/devices/virtual/powercap',
        '/sys/firmware',
        '/sys/fs/cgroup',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
      seccomp: seccompProfile,
      cgroupsPath: `${this.#place.cgroupParent}/${spec.id}`,
      maxOpenFiles: this.#place.maxOpenFiles,
    });
    // Of its own each would take one of the 200 keys that the kernel grants the user that all have as root (keyrings(7));
    // what it inherits it cannot reach: the system calls for keys are not allowed.
    return this.#commands.run(spec.id, spec.bundle, config, [], ['--no-new-keyring']);
  }

  kill(id: string): Promise<void> {
    return this.#commands.kill(id);
  }

  async remove(id: string, bundle: string): Promise<void> {
    await this.#commands.delete(id);
    await runCommand('umount', ['--lazy', rootfsOf(bundle)], { background: true }).catch(() => {
      // Not mounted: the start ended before the mount, or it was removed before.
    });
  }

  endOrphans(): Promise<void> {
    return this.#commands.endOrphans();
  }

  list(): Promise<readonly ContainerState[]> {
    return this.#commands.list();
  }
}

function rootfsOf(bundle: string): string {
  return join(bundle, 'rootfs');
}
