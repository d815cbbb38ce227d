import assert from "node:assert";
import test from "node:test";
import { total } from "./cart.js";

test("a cart costs what is in it", () => {
  assert.equal(total([{ price: 0.1, count: 1 }, { price: 0.2, count: 1 }]), 0.3);
  assert.equal(total([{ price: 2, count: 3 }]), 6);
});
