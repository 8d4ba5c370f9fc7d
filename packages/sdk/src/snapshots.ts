// Snapshots: memory and files of a sandbox at one moment, from which others are created.
import type { SnapshotInfo as SnapshotAnswer } from '@sandport/protocol/api';
import { type PageOptions, Paginator } from './paginator.ts';

export interface SnapshotInfo {
  /** For `Sandbox.create(snapshotId)`. */
  readonly snapshotId: string;
  /** Names that it was given, with their tags. */
  readonly names: readonly string[];
}

export interface SnapshotListOptions extends PageOptions {
  /** Only those made of this sandbox. */
  readonly sandboxId?: string | undefined;
  /** Only those of this name, with or without a tag. */
  readonly name?: string | undefined;
}

/** The newest first. */
export class SnapshotPaginator extends Paginator<SnapshotInfo, SnapshotAnswer> {
  protected readonly path = '/snapshots';
  readonly #list: SnapshotListOptions;

  constructor(options: SnapshotListOptions = {}) {
    super(options);
    this.#list = options;
  }

  protected parameters(): URLSearchParams {
    const { sandboxId, name } = this.#list;
    const parameters = new URLSearchParams();
    if (sandboxId !== undefined) parameters.set('sandboxID', sandboxId);
    if (name !== undefined) parameters.set('name', name);
    return parameters;
  }

  protected toItem(wire: SnapshotAnswer): SnapshotInfo {
    return toSnapshot(wire);
  }
}

export function toSnapshot({ snapshotID, names }: SnapshotAnswer): SnapshotInfo {
  return { snapshotId: snapshotID, names };
}
