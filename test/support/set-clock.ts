// Loaded into a server before its own code (`node --import`): its wall clock is off by what a file says, as when somebody
// sets the clock of the machine. Clocks that count since boot are as they are.
import { readFileSync } from 'node:fs';

const file = process.env.SANDPORT_TEST_CLOCK;
if (file === undefined) throw new Error('SANDPORT_TEST_CLOCK names no file');
const now = Date.now;
Date.now = () => now() + Number(readFileSync(file, 'utf8'));
