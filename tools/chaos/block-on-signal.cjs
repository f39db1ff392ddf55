// Loaded into a process under test with `--require`: SIGUSR2 blocks its event loop for as long as CHAOS_BLOCK_MS says, as a
// runaway regular expression or a huge JSON.parse would.
process.on('SIGUSR2', () => {
  const until = performance.now() + Number(process.env.CHAOS_BLOCK_MS ?? 0);
  while (performance.now() < until);
});
