// What `git status --porcelain=2 --branch -z` and `git branch` print, read.
export type GitStatusLabel =
  | 'conflict'
  | 'renamed'
  | 'copied'
  | 'deleted'
  | 'added'
  | 'modified'
  | 'typechange'
  | 'untracked'
  | 'unknown';

export interface GitFileStatus {
  /** Path below the repository's root. */
  readonly name: string;
  readonly status: GitStatusLabel;
  /** Git's letter for the index; a space when nothing changed there. */
  readonly indexStatus: string;
  /** Git's letter for the working tree; a space when nothing changed there. */
  readonly workingTreeStatus: string;
  readonly staged: boolean;
  /** The path before a rename or copy. */
  readonly renamedFrom?: string;
}

export interface GitStatus {
  /** Undefined when the head is detached. */
  readonly currentBranch: string | undefined;
  readonly upstream: string | undefined;
  /** Commits that the upstream does not have. */
  readonly ahead: number;
  /** Commits that only the upstream has. */
  readonly behind: number;
  readonly detached: boolean;
  readonly fileStatus: GitFileStatus[];
  readonly isClean: boolean;
  readonly hasChanges: boolean;
  readonly hasStaged: boolean;
  readonly hasUntracked: boolean;
  readonly hasConflicts: boolean;
  readonly totalCount: number;
  readonly stagedCount: number;
  readonly unstagedCount: number;
  readonly untrackedCount: number;
  readonly conflictCount: number;
}

export interface GitBranches {
  readonly branches: string[];
  /** Undefined before the first commit. */
  readonly currentBranch: string | undefined;
}

const LABELS: readonly (readonly [string, GitStatusLabel])[] = [
  ['R', 'renamed'],
  ['C', 'copied'],
  ['D', 'deleted'],
  ['A', 'added'],
  ['M', 'modified'],
  ['T', 'typechange'],
];
/** Fields before the path, by the kind of the entry. */
const FIELDS: Readonly<Record<string, number>> = { '1': 8, '2': 9, u: 10 };

export function parseStatus(output: string): GitStatus {
  const headers = new Map<string, string>();
  const files: GitFileStatus[] = [];
  const entries = output.split('\0').values();
  for (const entry of entries) {
    const kind = entry[0] ?? '';
    if (kind === '#') {
      const [, name = '', ...value] = entry.split(' ');
      headers.set(name, value.join(' '));
    } else if (kind === '?') {
      files.push(fileStatus(entry.slice(2), 'untracked', '??'));
    } else if (FIELDS[kind] !== undefined) {
      const fields = entry.split(' ');
      const letters = (fields[1] ?? '').replaceAll('.', ' ');
      const path = fields.slice(FIELDS[kind]).join(' ');
      const label = kind === 'u' ? 'conflict' : labelOf(letters);
      // The path before a rename is an entry of its own.
      files.push(fileStatus(path, label, letters, kind === '2' ? entries.next().value : undefined));
    }
  }
  return summary(headers, files);
}

function summary(headers: ReadonlyMap<string, string>, files: GitFileStatus[]): GitStatus {
  const head = headers.get('branch.head');
  const detached = head === '(detached)';
  const [, ahead = '0', behind = '0'] = /^\+([0-9]+) -([0-9]+)$/.exec(headers.get('branch.ab') ?? '') ?? [];
  const count = (matches: (file: GitFileStatus) => boolean): number => files.filter(matches).length;
  const stagedCount = count(({ staged }) => staged);
  const untrackedCount = count(({ status }) => status === 'untracked');
  const conflictCount = count(({ status }) => status === 'conflict');
  return {
    currentBranch: detached ? undefined : head,
    upstream: headers.get('branch.upstream'),
    ahead: Number(ahead),
    behind: Number(behind),
    detached,
    fileStatus: files,
    isClean: files.length === 0,
    hasChanges: files.length > 0,
    hasStaged: stagedCount > 0,
    hasUntracked: untrackedCount > 0,
    hasConflicts: conflictCount > 0,
    totalCount: files.length,
    stagedCount,
    unstagedCount: files.length - stagedCount,
    untrackedCount,
    conflictCount,
  };
}

function fileStatus(name: string, status: GitStatusLabel, letters: string, renamedFrom?: string): GitFileStatus {
  const [indexStatus = ' ', workingTreeStatus = ' '] = letters;
  const staged = indexStatus !== ' ' && indexStatus !== '?';
  return { name, status, indexStatus, workingTreeStatus, staged, ...(renamedFrom !== undefined && { renamedFrom }) };
}

function labelOf(letters: string): GitStatusLabel {
  return LABELS.find(([letter]) => letters.includes(letter))?.[1] ?? 'unknown';
}

/** Of `git branch --format=%(HEAD)%(refname:short)`. */
export function parseBranches(output: string): GitBranches {
  // A detached head is listed in brackets, and is no branch.
  const lines = output.split('\n').filter((line) => line !== '' && line[1] !== '(');
  const current = lines.find((line) => line.startsWith('*'));
  return { branches: lines.map((line) => line.slice(1)), currentBranch: current?.slice(1) };
}
