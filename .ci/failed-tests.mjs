// Prints the tests that failed, with where each did, from the file that `jest --json --outputFile` wrote.
import { readFileSync } from 'node:fs';

const LINES = 25;
const isFailed = ({ status }) => status === 'failed';

for (const file of JSON.parse(readFileSync(process.argv[2], 'utf8')).testResults.filter(isFailed)) {
  const tests = file.assertionResults.filter(isFailed);
  if (tests.length === 0) say(file.name, file.message);
  for (const { fullName, failureMessages } of tests) say(`${file.name} › ${fullName}`, failureMessages.join('\n'));
}

function say(what, message) {
  console.log(`FAILED: ${what}\n${message.split('\n').slice(0, LINES).join('\n')}`);
}
