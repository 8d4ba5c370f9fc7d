// Calls of nft(8).
import { type CommandOptions, runCommand } from '../run-command.ts';

/**
 * Of the GNU C library: memory comes in large pages and in large pieces. For thousands of ranges nft takes tens of megabytes,
 * and the kernel's share of making them, page by page, is a third of all the time that a change of rules takes.
 */
const TUNABLES = 'glibc.malloc.hugetlb=1:glibc.malloc.top_pad=33554432';

/** Returns what it prints. @throws CommandError with what it said */
export function nft(args: readonly string[], options: Omit<CommandOptions, 'env'> = {}): Promise<string> {
  const { GLIBC_TUNABLES = TUNABLES } = process.env;
  return runCommand('nft', args, { ...options, env: { ...process.env, GLIBC_TUNABLES } });
}
