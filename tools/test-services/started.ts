/** How to stop what this run's setup started. Setup and teardown run in the same process and share this module. */
export const started: (() => Promise<void>)[] = [];
