//! The table of operations: one row for each thing that a service of the shop does.

use super::{Call, Form, Operation, Order};

/// Everything that the shop does. Only what belongs to an order has `checkout` in its name.
pub(in crate::demo) const OPERATIONS: &[Operation] = &[
    // the way in
    http("frontend-proxy", "GET /", ("GET", "/"), 250, &[call("frontend", "GET /")]),
    http(
        "frontend-proxy",
        "GET /products",
        ("GET", "/products/{id}"),
        250,
        &[call("frontend", "GET /products/{id}")],
    ),
    http(
        "frontend-proxy",
        "GET /search",
        ("GET", "/search"),
        250,
        &[call("frontend", "GET /search")],
    ),
    http(
        "frontend-proxy",
        "POST /cart",
        ("POST", "/cart"),
        250,
        &[call("frontend", "POST /api/cart")],
    ),
    http(
        "frontend-proxy",
        "POST /order",
        ("POST", "/order"),
        250,
        &[call("frontend", "POST /api/checkout")],
    ),
    http(
        "frontend-proxy",
        "GET /account",
        ("GET", "/account"),
        250,
        &[call("frontend", "GET /account")],
    ),
    // frontend
    http(
        "frontend",
        "GET /",
        ("GET", "/"),
        2_200,
        &[
            call("auth", "Auth/Verify").at(70),
            call("product-catalog", "ProductCatalog/ListProducts"),
            call("recommendation", "Recommendation/ListRecommendations").at(80).beside(),
            call("ad", "Ad/GetAds").at(85).beside(),
            call("currency", "Currency/GetSupportedCurrencies").at(60).beside(),
            call("cart", "Cart/GetCart").at(55).beside(),
            call("frontend", "render home"),
        ],
    ),
    http(
        "frontend",
        "GET /products/{id}",
        ("GET", "/products/{id}"),
        2_000,
        &[
            call("auth", "Auth/Verify").at(70),
            call("product-catalog", "ProductCatalog/GetProduct"),
            call("inventory", "Inventory/GetStock").at(95).beside(),
            call("currency", "Currency/Convert").at(70),
            call("recommendation", "Recommendation/ListRecommendations").at(85),
            call("ad", "Ad/GetAds").at(65).beside(),
            call("media", "GET /images/{id}").at(60).times(1, 2).beside(),
            call("frontend", "render product"),
        ],
    ),
    http(
        "frontend",
        "GET /search",
        ("GET", "/search"),
        1_800,
        &[
            call("search", "POST /v1/query"),
            call("product-catalog", "ProductCatalog/GetProduct").times(1, 5),
            call("currency", "Currency/Convert").at(50),
            call("ad", "Ad/GetAds").at(70).beside(),
            call("frontend", "render results"),
        ],
    ),
    http(
        "frontend",
        "POST /api/cart",
        ("POST", "/api/cart"),
        1_400,
        &[
            call("auth", "Auth/Verify"),
            call("product-catalog", "ProductCatalog/GetProduct"),
            call("inventory", "Inventory/GetStock").beside(),
            call("cart", "Cart/AddItem"),
            call("loyalty", "GET /v2/points/{user}").at(30),
        ],
    ),
    http(
        "frontend",
        "POST /api/checkout",
        ("POST", "/api/checkout"),
        1_900,
        &[call("auth", "Auth/Verify"), call("checkout", "Checkout/PlaceOrder")],
    ),
    http(
        "frontend",
        "GET /account",
        ("GET", "/account"),
        1_700,
        &[
            call("auth", "Auth/Verify"),
            call("account", "GET /v1/accounts/{id}"),
            call("loyalty", "GET /v2/points/{user}").beside(),
            call("accounting", "GET /orders").beside(),
            call("frontend", "render account"),
        ],
    ),
    internal("frontend", "render home", "renderHome", 3_000, &[]),
    internal("frontend", "render product", "renderProduct", 2_400, &[]),
    internal("frontend", "render results", "renderResults", 2_700, &[]),
    internal("frontend", "render account", "renderAccount", 1_900, &[]),
    // orders
    rpc(
        "checkout",
        "Checkout/PlaceOrder",
        ("shop.Checkout", "PlaceOrder"),
        1_300,
        &[
            call("checkout", "prepare checkout items"),
            call("payment", "Payment/Charge"),
            call("shipping", "POST /ship-order"),
            call("cart", "Cart/EmptyCart"),
            call("postgresql", "INSERT orders"),
            call("postgresql", "INSERT order_lines").times(1, 3),
            call("email", "POST /send-confirmation"),
            call("kafka", "publish orders"),
        ],
    ),
    internal(
        "checkout",
        "prepare checkout items",
        "(*checkout).prepareItems",
        600,
        &[
            call("cart", "Cart/GetCart"),
            call("product-catalog", "ProductCatalog/GetProduct").times(1, 3),
            call("currency", "Currency/Convert").times(1, 2),
            call("inventory", "Inventory/Reserve"),
            call("shipping", "POST /get-quote"),
        ],
    ),
    rpc(
        "payment",
        "Payment/Charge",
        ("shop.Payment", "Charge"),
        1_500,
        &[
            call("payment", "validate card"),
            call("postgresql", "SELECT payment_methods"),
            call("fraud-detection", "Fraud/Score").at(80),
            call("postgresql", "INSERT charges"),
        ],
    ),
    internal("payment", "validate card", "charge.validateCard", 350, &[]),
    rpc(
        "fraud-detection",
        "Fraud/Score",
        ("shop.Fraud", "Score"),
        2_600,
        &[call("valkey", "HMGET"), call("postgresql", "SELECT fraud_rules").at(60)],
    ),
    http(
        "shipping",
        "POST /ship-order",
        ("POST", "/ship-order"),
        800,
        &[call("postgresql", "INSERT shipments")],
    ),
    http(
        "shipping",
        "POST /get-quote",
        ("POST", "/get-quote"),
        500,
        &[call("quote", "POST /getquote")],
    ),
    http(
        "quote",
        "POST /getquote",
        ("POST", "/getquote"),
        700,
        &[call("quote", "calculate quote")],
    ),
    internal("quote", "calculate quote", "calculateQuote", 400, &[]),
    http(
        "email",
        "POST /send-confirmation",
        ("POST", "/send-confirmation"),
        1_800,
        &[call("email", "render template")],
    ),
    internal("email", "render template", "render_template", 1_300, &[]),
    Operation {
        service: "kafka",
        name: "publish orders",
        form: Form::Publish { topic: "orders" },
        micros: 700,
        calls: &[
            call("accounting", "process orders"),
            call("notification", "notify orders").at(90),
            call("loyalty", "earn orders").at(80),
        ],
    },
    consume(
        "accounting",
        "process orders",
        "orders",
        1_500,
        &[call("postgresql", "INSERT ledger"), call("postgresql", "UPDATE balances")],
    ),
    consume("notification", "notify orders", "orders", 900, &[call("valkey", "PUBLISH")]),
    consume("loyalty", "earn orders", "orders", 700, &[call("postgresql", "UPDATE points")]),
    // the catalogue and its neighbours
    rpc(
        "product-catalog",
        "ProductCatalog/ListProducts",
        ("shop.ProductCatalog", "ListProducts"),
        900,
        &[call("valkey", "MGET").at(70), call("postgresql", "SELECT products")],
    ),
    rpc(
        "product-catalog",
        "ProductCatalog/GetProduct",
        ("shop.ProductCatalog", "GetProduct"),
        450,
        &[call("valkey", "GET"), call("postgresql", "SELECT product by id").at(35)],
    ),
    rpc(
        "recommendation",
        "Recommendation/ListRecommendations",
        ("shop.Recommendation", "ListRecommendations"),
        2_100,
        &[
            call("recommendation", "rank candidates"),
            call("product-catalog", "ProductCatalog/GetProduct").at(60),
        ],
    ),
    internal("recommendation", "rank candidates", "rank_candidates", 1_500, &[]),
    rpc("ad", "Ad/GetAds", ("shop.Ad", "GetAds"), 900, &[call("valkey", "SMEMBERS").at(60)]),
    rpc("currency", "Currency/Convert", ("shop.Currency", "Convert"), 180, &[]),
    rpc(
        "currency",
        "Currency/GetSupportedCurrencies",
        ("shop.Currency", "GetSupportedCurrencies"),
        150,
        &[],
    ),
    rpc("cart", "Cart/GetCart", ("shop.Cart", "GetCart"), 400, &[call("valkey", "HGETALL")]),
    rpc(
        "cart",
        "Cart/AddItem",
        ("shop.Cart", "AddItem"),
        500,
        &[call("valkey", "HSET"), call("valkey", "EXPIRE")],
    ),
    rpc("cart", "Cart/EmptyCart", ("shop.Cart", "EmptyCart"), 350, &[call("valkey", "DEL")]),
    rpc(
        "inventory",
        "Inventory/GetStock",
        ("shop.Inventory", "GetStock"),
        500,
        &[call("postgresql", "SELECT stock")],
    ),
    rpc(
        "inventory",
        "Inventory/Reserve",
        ("shop.Inventory", "Reserve"),
        800,
        &[call("postgresql", "SELECT stock"), call("postgresql", "UPDATE stock").times(1, 3)],
    ),
    internal(
        "inventory",
        "reconcile stock",
        "(*reconciler).run",
        40_000,
        &[
            call("postgresql", "SELECT stock").times(60, 120),
            call("postgresql", "UPDATE stock").times(20, 60),
        ],
    ),
    http(
        "search",
        "POST /v1/query",
        ("POST", "/v1/query"),
        3_500,
        &[
            call("search", "parse query"),
            call("postgresql", "SELECT search"),
            call("search", "score hits"),
        ],
    ),
    internal("search", "parse query", "QueryParser.parse", 300, &[]),
    internal("search", "score hits", "Scorer.score", 1_800, &[]),
    rpc("auth", "Auth/Verify", ("shop.Auth", "Verify"), 350, &[call("valkey", "GET")]),
    http(
        "account",
        "GET /v1/accounts/{id}",
        ("GET", "/v1/accounts/{id}"),
        900,
        &[call("postgresql", "SELECT accounts"), call("postgresql", "SELECT payment_methods")],
    ),
    http(
        "accounting",
        "GET /orders",
        ("GET", "/orders"),
        1_100,
        &[call("postgresql", "SELECT orders")],
    ),
    http(
        "loyalty",
        "GET /v2/points/{user}",
        ("GET", "/v2/points/{user}"),
        800,
        &[call("postgresql", "SELECT points")],
    ),
    http("media", "GET /images/{id}", ("GET", "/images/{id}"), 600, &[]),
    // databases
    cache("GET", "GET", 220),
    cache("MGET", "MGET", 320),
    cache("HMGET", "HMGET", 260),
    cache("HGETALL", "HGETALL", 260),
    cache("HSET", "HSET", 280),
    cache("EXPIRE", "EXPIRE", 150),
    cache("DEL", "DEL", 170),
    cache("SMEMBERS", "SMEMBERS", 240),
    cache("PUBLISH", "PUBLISH", 210),
    sql(
        "SELECT products",
        ("SELECT", "products"),
        1_600,
        "SELECT id, name, price, picture FROM products WHERE category = 'summer' AND id > ",
    ),
    sql(
        "SELECT product by id",
        ("SELECT", "products"),
        600,
        "SELECT id, name, price, picture, description FROM products WHERE id = ",
    ),
    sql(
        "SELECT stock",
        ("SELECT", "stock"),
        700,
        "SELECT quantity, reserved FROM stock WHERE product_id = ",
    ),
    sql(
        "UPDATE stock",
        ("UPDATE", "stock"),
        1_100,
        "UPDATE stock SET reserved = reserved + 1 WHERE product_id = ",
    ),
    sql(
        "SELECT search",
        ("SELECT", "product_terms"),
        4_200,
        "SELECT product_id, rank FROM product_terms WHERE term % 'lamp' AND product_id <> ",
    ),
    sql(
        "SELECT accounts",
        ("SELECT", "accounts"),
        800,
        "SELECT name, email, language FROM accounts WHERE id = ",
    ),
    sql(
        "SELECT payment_methods",
        ("SELECT", "payment_methods"),
        750,
        "SELECT token, brand, expires FROM payment_methods WHERE account_id = ",
    ),
    sql(
        "SELECT fraud_rules",
        ("SELECT", "fraud_rules"),
        900,
        "SELECT rule, weight FROM fraud_rules WHERE account_id = ",
    ),
    sql(
        "SELECT orders",
        ("SELECT", "orders"),
        2_400,
        "SELECT id, total, placed_at FROM orders WHERE account_id = ",
    ),
    sql(
        "SELECT points",
        ("SELECT", "points"),
        700,
        "SELECT balance FROM points WHERE account_id = ",
    ),
    sql(
        "UPDATE points",
        ("UPDATE", "points"),
        1_000,
        "UPDATE points SET balance = balance + 10 WHERE order_id = ",
    ),
    sql(
        "UPDATE balances",
        ("UPDATE", "balances"),
        1_200,
        "UPDATE balances SET amount = amount + 1 WHERE order_id = ",
    ),
    sql(
        "INSERT orders",
        ("INSERT", "orders"),
        1_500,
        "INSERT INTO orders (state, total, id) SELECT 'new', 99.5, ",
    ),
    sql(
        "INSERT order_lines",
        ("INSERT", "order_lines"),
        1_000,
        "INSERT INTO order_lines (quantity, price, order_id) SELECT 1, 12.5, ",
    ),
    sql(
        "INSERT charges",
        ("INSERT", "charges"),
        1_300,
        "INSERT INTO charges (state, order_id) SELECT 'held', ",
    ),
    sql(
        "INSERT shipments",
        ("INSERT", "shipments"),
        1_200,
        "INSERT INTO shipments (carrier, order_id) SELECT 'post', ",
    ),
    sql(
        "INSERT ledger",
        ("INSERT", "ledger"),
        1_400,
        "INSERT INTO ledger (account, order_id) SELECT 4711, ",
    ),
];

const fn call(service: &'static str, name: &'static str) -> Call {
    Call { service, name, per_cent: 100, times: (1, 1), order: Order::After }
}

impl Call {
    const fn at(mut self, per_cent: u64) -> Self {
        self.per_cent = per_cent;
        self
    }

    const fn times(mut self, low: u64, high: u64) -> Self {
        self.times = (low, high);
        self
    }

    const fn beside(mut self) -> Self {
        self.order = Order::Beside;
        self
    }
}

const fn http(
    service: &'static str,
    name: &'static str,
    (method, route): (&'static str, &'static str),
    micros: u64,
    calls: &'static [Call],
) -> Operation {
    Operation { service, name, form: Form::Http { method, route }, micros, calls }
}

const fn rpc(
    service: &'static str,
    name: &'static str,
    (package, method): (&'static str, &'static str),
    micros: u64,
    calls: &'static [Call],
) -> Operation {
    Operation { service, name, form: Form::Rpc { service: package, method }, micros, calls }
}

const fn sql(
    name: &'static str,
    (operation, table): (&'static str, &'static str),
    micros: u64,
    text: &'static str,
) -> Operation {
    let form = Form::Sql { operation, table, text };
    Operation { service: "postgresql", name, form, micros, calls: &[] }
}

const fn cache(name: &'static str, command: &'static str, micros: u64) -> Operation {
    Operation { service: "valkey", name, form: Form::Cache { command }, micros, calls: &[] }
}

const fn internal(
    service: &'static str,
    name: &'static str,
    function: &'static str,
    micros: u64,
    calls: &'static [Call],
) -> Operation {
    Operation { service, name, form: Form::Internal { function }, micros, calls }
}

const fn consume(
    service: &'static str,
    name: &'static str,
    topic: &'static str,
    micros: u64,
    calls: &'static [Call],
) -> Operation {
    Operation { service, name, form: Form::Consume { topic }, micros, calls }
}
