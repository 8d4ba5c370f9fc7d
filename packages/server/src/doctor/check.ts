// One thing that Sandport needs of the machine.
import type { Settings } from '../settings.ts';

export interface Check {
  /** What is looked at, in a few words. */
  readonly name: string;
  /**
   * Returns what was found, or throws a Complaint.
   *
   * @param again whether to look also at what was found good since the machine was started, and takes long
   */
  readonly run: (settings: Settings, again: boolean) => Promise<string>;
}

/** What is wrong, and the command or step that mends it. */
export class Complaint extends Error {
  override name = 'Complaint';
  readonly remedy: string;
  /** Whether the server can run all the same. */
  readonly onlyWarning: boolean;

  constructor(message: string, remedy: string, options: { onlyWarning?: boolean } = {}) {
    super(message);
    this.remedy = remedy;
    this.onlyWarning = options.onlyWarning ?? false;
  }
}
