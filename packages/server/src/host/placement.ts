// Words of the host: where a sandbox is on this machine, what it is started from, and what makes it this sandbox.
import { randomBytes } from 'node:crypto';
import type { AgentInit } from '@sandport/protocol/agent-init';
import type { Template } from './image/installation.ts';
import type { EgressPolicy } from './network/egress-policy.ts';
import type { ContainerBasis, ContainerSpec } from './runtime/runtime.ts';

/** Inside every sandbox; part of a snapshot, and so of no sandbox in particular. */
export const SANDBOX_HOSTNAME = 'sandbox';

/** From what a container is started. */
export type StartSource =
  | { readonly kind: 'template'; readonly template: Template }
  /** Processes and files of a snapshot go on; of one without memory its files are there. */
  | {
      readonly kind: 'snapshot';
      readonly id: string;
      /** Whether its processes are to be forgotten, as by a restart. */
      readonly restart?: boolean;
    };

/** What makes a started container this sandbox. */
export interface Identity {
  readonly egress: EgressPolicy;
  readonly init: AgentInit;
  /** What the agent was last initialised with, where it comes out of a snapshot. */
  readonly previousControlToken?: string;
}

/** What the core keeps of a started sandbox, enough to find it again after a restart. */
export interface Placement {
  /** Name of the container, its bundle and its control group. */
  readonly container: string;
  readonly slot: number;
  readonly disk: string;
  readonly address: string;
  readonly basis: ContainerBasis;
}

/** What a container is started in. */
export interface Place {
  readonly placement: Placement;
  readonly spec: ContainerSpec;
}

/** Where a start begins: from an image alone, from memory as it was, or from a disk as it was. */
export interface Origin {
  readonly basis: ContainerBasis;
  /** A checkpoint. */
  readonly memory?: { readonly directory: string; readonly durable: boolean };
  /** Whether the processes in it are to be ended. */
  readonly restart?: boolean;
  /** File of a disk. */
  readonly disk?: string;
}

/** Names of containers are nobody's: which sandbox one becomes may be decided after it was started. */
export function newContainerName(): string {
  return `c${randomBytes(10).toString('hex')}`;
}
