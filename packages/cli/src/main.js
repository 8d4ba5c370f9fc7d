// The sandport command. Not in TypeScript: what is loaded from here on comes as the compiler left it the last time, its
// types taken out. That is half of what a short command takes, and of a server the memory of what takes types out.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { home } from '../../../scripts/setup/locations.js';

// Where root keeps what it runs, as the server's `compileCache` has it. Users who cannot write there have the command all the same.
enableCompileCache(join(home, 'compiled'));
await import('./program.ts');
