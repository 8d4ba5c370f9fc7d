// The part of an OCI runtime configuration (opencontainers/runtime-spec, config.md) that both runtimes share.
import { agentArguments } from './agent-process.ts';
import type { ContainerSpec } from './runtime.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options?: readonly string[];
}

interface OciNamespace {
  readonly type: 'pid' | 'network' | 'ipc' | 'uts' | 'mount' | 'user' | 'cgroup';
  readonly path?: string;
}

interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** What one runtime adds to the common configuration. */
export interface RuntimeProfile {
  readonly rootfs: string;
  readonly capabilities: readonly string[];
  readonly extraNamespaces: readonly OciNamespace[];
  readonly idMappings?: readonly IdMapping[];
  readonly mounts: readonly OciMount[];
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly seccomp?: object;
  readonly cgroupsPath: string;
  /** Highest RLIMIT_NOFILE that this machine lets a container have. */
  readonly maxOpenFiles: number;
}

const CPU_PERIOD_US = 100_000;
/** When the machine itself has no memory left the kernel ends a sandbox, and nothing that serves all of them. */
const OOM_SCORE_ADJ = 800;

export function ociSpec(spec: ContainerSpec, profile: RuntimeProfile): object {
  const capabilities = [...profile.capabilities];
  return {
    ociVersion: '1.0.2',
    root: { path: profile.rootfs, readonly: false },
    hostname: spec.hostname,
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      cwd: '/',
      args: agentArguments(),
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'],
      oomScoreAdj: OOM_SCORE_ADJ,
      // sudo needs set-user-ID programs; what they can become is bounded by the capability set.
      noNewPrivileges: false,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: Math.min(65_536, profile.maxOpenFiles), hard: profile.maxOpenFiles }],
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      {
        destination: '/dev',
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
      },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
      },
      {
        destination: '/dev/shm',
        type: 'tmpfs',
        source: 'shm',
        options: ['nosuid', 'nodev', 'mode=1777', `size=${Math.ceil(spec.limits.memoryMB / 2)}m`],
      },
      ...profile.mounts,
      {
        destination: '/.sandport',
        type: 'bind',
        source: spec.agentDirectory,
        options: ['bind', 'ro', 'nosuid', 'nodev'],
      },
    ],
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'network', path: spec.networkNamespace },
        ...profile.extraNamespaces,
      ],
      ...(profile.idMappings && { uidMappings: profile.idMappings, gidMappings: profile.idMappings }),
      cgroupsPath: profile.cgroupsPath,
      resources: {
        memory: { limit: spec.limits.memoryMB * 1024 * 1024 },
        cpu: { period: CPU_PERIOD_US, quota: Math.round(spec.limits.cpuCount * CPU_PERIOD_US), shares: 1024 },
        pids: { limit: spec.limits.processes },
      },
      ...(profile.maskedPaths && { maskedPaths: profile.maskedPaths }),
      ...(profile.readonlyPaths && { readonlyPaths: profile.readonlyPaths }),
      ...(profile.seccomp && { seccomp: profile.seccomp }),
    },
  };
}
