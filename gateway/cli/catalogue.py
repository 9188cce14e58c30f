"""`xinguan catalogue`: look at the data contracts and check them."""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Product
from gateway.registry.catalogue import (
    POLICY_CATALOGUE,
    Catalogue,
    CatalogueError,
    UnknownProductError,
)

app = typer.Typer(help="Data contracts: what each product holds and who manages it.")

Directory = Annotated[
    Path, typer.Option("--directory", help="Folder with the contracts; by default the shipped one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@app.command("list")
def list_products(directory: Directory = POLICY_CATALOGUE, as_json: AsJson = False) -> None:
    """List every product with its form; `show` names the units that manage its fields."""
    catalogue = _load(directory, as_json)
    products = [catalogue.product(name) for name in catalogue.names()]
    if as_json:
        _print_json([_summary(catalogue, product) for product in products])
        return
    table = Table(title="数据产品目录 Catalogue of data products")
    table.add_column("产品 product", no_wrap=True)
    table.add_column("名称 title", min_width=24)
    table.add_column("形态 form", no_wrap=True)
    table.add_column("不良 adverse")
    table.add_column("字段 fields")
    for product in products:
        table.add_row(
            product.name,
            f"{product.title_zh}\n{product.title_en}",
            product.form,
            "是 yes" if product.adverse else "否 no",
            str(len(product.fields)),
        )
    Console().print(table)


@app.command()
def show(
    product: Annotated[str, typer.Argument(help="Name of the product.")],
    directory: Directory = POLICY_CATALOGUE,
    as_json: AsJson = False,
) -> None:
    """Show one product field by field."""
    catalogue = _load(directory, as_json)
    try:
        chosen = catalogue.product(product)
    except UnknownProductError:
        known = ", ".join(catalogue.names())
        raise InvalidRequestError(
            "UNKNOWN_PRODUCT",
            "no such product is in the catalogue",
            hints=(f"the products are {known}",),
        ) from None
    if as_json:
        _print_json(_summary(catalogue, chosen) | {"fields": _fields(catalogue, chosen)})
        return
    console = Console()
    console.print(f"[bold]{chosen.title_zh} {chosen.title_en}[/bold] ({chosen.name})")
    console.print(f"  version {chosen.version}, digest {chosen.digest}")
    console.print(f"  subject key {chosen.subject_key}, record key {chosen.record_key}")
    table = Table()
    table.add_column("字段 field", no_wrap=True)
    for heading in ("名称 title", "类型 type", "类别 class", "出境 border"):
        table.add_column(heading, overflow="fold")
    table.add_column("计量 unit", overflow="fold")
    table.add_column("管理单位 manager", overflow="fold")
    for entry in _fields(catalogue, chosen):
        table.add_row(
            entry["name"],
            f"{entry['title_zh']}\n{entry['title_en']}",
            entry["type"],
            entry["class"],
            " ".join(filter(None, (entry["border"], entry["generalisation"]))),
            entry["measure"],
            entry["unit_name_zh"],
        )
    console.print(table)


@app.command()
def check(directory: Directory = POLICY_CATALOGUE, as_json: AsJson = False) -> None:
    """Check every contract; each problem names its file and field. Exit code 1 if any."""
    catalogue = _load(directory, as_json)
    if as_json:
        _print_json({"ok": True, "products": list(catalogue.names()), "problems": []})
        return
    fields = sum(len(catalogue.product(name).fields) for name in catalogue.names())
    Console().print(
        f"{len(catalogue.names())} contracts, {fields} fields: "
        "each has a class, a responsible unit and a cross-border default"
    )


def _load(directory: Path, as_json: bool) -> Catalogue:
    try:
        return Catalogue.load(directory)
    except CatalogueError as error:
        _fail([str(problem) for problem in error.problems], as_json)


def _fail(problems: list[str], as_json: bool) -> NoReturn:
    """Print the problems and end with exit code 1."""
    if as_json:
        _print_json({"ok": False, "problems": problems})
    else:
        console = Console(stderr=True)
        for problem in problems:
            console.print(problem, style="red", markup=False, highlight=False)
    raise typer.Exit(1)


def _summary(catalogue: Catalogue, product: Product) -> dict[str, Any]:
    manager = catalogue.unit(product.manager_uscc)
    return {
        "name": product.name,
        "version": product.version,
        "title_zh": product.title_zh,
        "title_en": product.title_en,
        "domain": product.domain,
        "form": product.form,
        "registration_code": product.registration_code,
        "subject_key": product.subject_key,
        "record_key": product.record_key,
        "subject_kinds": sorted(product.subject_kinds),
        "adverse": product.adverse,
        "feed_limit_s": product.feed_limit_s,
        "manager_uscc": manager.uscc,
        "manager_name_zh": manager.name_zh,
        "manager_name_en": manager.name_en,
        "digest": product.digest,
    }


def _fields(catalogue: Catalogue, product: Product) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "title_zh": field.title_zh,
            "title_en": field.title_en,
            "type": field.type,
            "class": field.classification.value,
            "border": field.border.value,
            "generalisation": field.generalisation,
            "measure": field.measure,
            "identifying": field.identifying,
            "unit_uscc": field.unit_uscc,
            "unit_name_zh": catalogue.unit(field.unit_uscc).name_zh,
            "unit_name_en": catalogue.unit(field.unit_uscc).name_en,
        }
        for field in product.fields.values()
    ]


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
