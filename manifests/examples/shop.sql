-- The tables of orders.yaml with 500 users, 20,000 orders and 60,000 items. Can be run again: it begins anew.
CREATE DATABASE IF NOT EXISTS shop CHARACTER SET utf8mb4;
USE shop;
DROP TABLE IF EXISTS order_items, orders, users;

CREATE TABLE users (
  id     BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name   VARCHAR(100) NOT NULL,
  email  VARCHAR(200),
  joined DATE NOT NULL
);
CREATE TABLE orders (
  id         BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id    BIGINT NOT NULL,
  status     ENUM('new', 'paid', 'shipped', 'cancelled') NOT NULL DEFAULT 'new',
  total      DECIMAL(12, 2) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  note       VARCHAR(255),
  KEY by_user (user_id)
);
CREATE TABLE order_items (
  id       BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT NOT NULL,
  sku      VARCHAR(32) NOT NULL,
  qty      INT NOT NULL,
  KEY by_order (order_id)
);

SET SESSION cte_max_recursion_depth = 100000;
INSERT INTO users (name, email, joined)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  SELECT CONCAT('User ', i), CONCAT('user', i, '@example.com'), DATE('2025-01-01') + INTERVAL i DAY FROM n;
INSERT INTO orders (user_id, status, total, created_at)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  SELECT i % 500 + 1, ELT(i % 4 + 1, 'new', 'paid', 'shipped', 'cancelled'), i % 900 + 0.99,
         '2026-01-01' + INTERVAL i MINUTE FROM n;
INSERT INTO order_items (order_id, sku, qty)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
  SELECT i % 20000 + 1, CONCAT('sku-', i % 997), i % 9 + 1 FROM n;
-- MySQL counts a table that was just filled only some seconds later, and reads it badly until then.
ANALYZE TABLE users, orders, order_items;
