import { Random } from './random';

describe('Random', () => {
  const draw = (random: Random) => Array.from({ length: 50 }, () => random.between(1, 6));

  it('draws the same from the same seed, and something else from another', () => {
    expect(draw(new Random(7))).toEqual(draw(new Random(7)));
    expect(draw(new Random(8))).not.toEqual(draw(new Random(7)));
  });

  it('draws every number of the range and none outside', () => {
    expect([...new Set(draw(new Random(1)))].sort()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('shuffles without losing anything', () => {
    const items = Array.from({ length: 20 }, (_, i) => i);
    const shuffled = new Random(3).shuffled(items);
    expect(shuffled).not.toEqual(items);
    expect([...shuffled].sort((a, b) => a - b)).toEqual(items);
  });

  it('gives each part of a run its own numbers, however many another part draws', () => {
    const second = (draws: number) => {
      const random = new Random(5);
      const [one, two] = [random.fork(), random.fork()];
      for (let i = 0; i < draws; i += 1) one.next();
      return draw(two);
    };
    expect(second(1)).toEqual(second(100));
  });

  it('refuses to pick from nothing', () => {
    expect(() => new Random(1).pick([])).toThrow(RangeError);
  });
});
