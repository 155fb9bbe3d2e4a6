/* What this browser remembers for an operator. A storage may be blocked: then nothing is remembered. */

export function storedItem(name, area = 'localStorage') {
  try {
    return window[area].getItem(name);
  } catch (error) {
    return null;
  }
}

export function storeItem(name, value, area = 'localStorage') {
  try {
    window[area].setItem(name, value);
  } catch (error) {
    // it is blocked
  }
}
