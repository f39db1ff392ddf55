import { LocalBackplane } from './local-backplane';

describe('a handler that throws', () => {
  it('reaches the process, and neither the publisher nor the other handlers', async () => {
    const backplane = new LocalBackplane();
    const uncaught = new Promise((resolve) => jest.spyOn(globalThis, 'queueMicrotask').mockImplementationOnce(resolve));
    const received: (string | undefined)[] = [];
    backplane.subscribe('work', () => {
      throw new Error('a bug');
    });
    backplane.subscribe('work', (payload) => received.push(payload));
    backplane.publish('work', 'x');
    expect(received).toEqual(['x']);
    expect(await uncaught).toThrow('a bug');
  });
});
