// The seam under which an OCI runtime sits. The rest of the host knows no other word of it.

import type { ProcessIdentity } from '../../process-identity.ts';

export type RuntimeName = 'runsc' | 'runc';

/** What a container is made from, and has to be brought back with. */
export interface ContainerBasis {
  /** The template's file systems, read-only and shared. */
  readonly image: ImageDirectories;
  /** Directory of the agent, mounted read-only at `/.sandport`. */
  readonly agentDirectory: string;
  readonly limits: ResourceLimits;
}

/** What a runtime needs to start one sandbox. */
export interface ContainerSpec extends ContainerBasis {
  readonly id: string;
  /** Directory of this container's bundle; the runtime writes into it. */
  readonly bundle: string;
  /** Path of the network namespace to join. */
  readonly networkNamespace: string;
  /** A mounted file system of the size of the sandbox's disk, for everything the sandbox changes. */
  readonly writable: string;
  readonly hostname: string;
}

export interface ImageDirectories {
  /** Owned by the real ids, for runtimes with a kernel of their own. */
  readonly rootfs: string;
  /** The same with every id shifted, for runtimes that put the sandbox into a user namespace. */
  readonly rootfsShifted: string;
}

export interface ResourceLimits {
  /** Mebibytes. */
  readonly memoryMB: number;
  readonly cpuCount: number;
  /** Mebibytes; the size of `writable`, enforced by its file system. */
  readonly diskSizeMB: number;
  /** Tasks, the runtime's own threads included. */
  readonly processes: number;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** Undefined for a runtime that cannot keep memory. */
  readonly checkpoints?: Checkpoints;
  /** Undefined for a runtime that is never asked to hold still. */
  readonly freezer?: Freezer;
  /**
   * Starts the agent as the container's first process and returns when it has been started: the process whose end is
   * the container's end.
   */
  run(spec: ContainerSpec): Promise<ProcessIdentity>;
  /** Ends every process of it at once; no error when there is none. */
  kill(id: string): Promise<void>;
  /** Removes what the runtime keeps of it: state, cgroup, mounts. No error when there is nothing. */
  remove(id: string, bundle: string): Promise<void>;
  /** Ends starts and checkpoints that a process before this one began and that still go on: nobody waits for them any more. */
  endOrphans(): Promise<void>;
  /** What this instance has, running or not. */
  list(): Promise<readonly ContainerState[]>;
}

/** Memory, processes and files of a container, written down and brought back. */
export interface Checkpoints {
  /**
   * Writes a container that runs into an empty directory. It goes on running, also when this fails; its TCP
   * connections are reset.
   *
   * @param durable whether it is to be on the disk soon; else it is read again soon
   */
  save(id: string, directory: string, durable: boolean): Promise<void>;
  /**
   * Makes a container in which nothing runs yet: a restoration in it has less to do. Returns the process whose end is
   * the container's end.
   */
  prepare(spec: ContainerSpec): Promise<ProcessIdentity>;
  /**
   * Starts a container from what `save` wrote, with the same image, agent and limits. The directory is only read.
   *
   * @param options `prepared`: whether `prepare` has made it from the same `spec`; `durable`: as it was saved
   */
  restore(
    spec: ContainerSpec,
    directory: string,
    options: { readonly prepared: boolean; readonly durable: boolean },
  ): Promise<ProcessIdentity>;
}

/** Has the processes of a container stand still. */
export interface Freezer {
  freeze(id: string): Promise<void>;
  /** No error for one that is not frozen. */
  thaw(id: string): Promise<void>;
}

export interface ContainerState {
  readonly id: string;
  /** Process whose end is the container's end; 0 when it has ended. */
  readonly pid: number;
  /** Also when it is frozen. */
  readonly running: boolean;
}
